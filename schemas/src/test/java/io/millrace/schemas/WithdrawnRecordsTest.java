package io.millrace.schemas;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Instant;
import org.apache.avro.specific.SpecificRecordBase;
import org.junit.jupiter.api.Test;

class WithdrawnRecordsTest {

  private static final Instant AT = Examples.judgment().getTime();

  private final WithdrawnRecords withdrawn = new WithdrawnRecords();

  private void add(WithdrawnBy by, String name, Instant time) {
    assertTrue(withdrawn.add(new Withdrawal(by + name, by, name, "", "", time)));
  }

  private boolean matches(SpecificRecordBase record) {
    return withdrawn.contains(Provenance.of(record));
  }

  @Test
  void anIdMatchesARecordOfAnyTimeAndWhatWasMadeFromIt() {
    add(WithdrawnBy.ID, "p1", Instant.ofEpochMilli(1));
    assertTrue(matches(Examples.prompt()));
    assertTrue(matches(Examples.rollout()), "a rollout of the prompt");
    assertTrue(matches(Examples.judgment()), "a judgment of a rollout of the prompt");
    assertFalse(matches(Examples.demonstration()));
  }

  @Test
  void theIdOfARolloutMatchesNoOtherOfItsPrompt() {
    add(WithdrawnBy.ID, "p1/0", AT);
    assertTrue(matches(Examples.rollout()));
    assertTrue(matches(Examples.judgment()));
    assertFalse(matches(Examples.prompt()));
    Rollout other = Examples.rollout();
    other.setRolloutId("p1/1");
    assertFalse(matches(other));
  }

  /** It may be sampled long after its prompt was withdrawn. */
  @Test
  void aSourceMatchesRolloutsByTheTimeOfTheirPrompt() {
    add(WithdrawnBy.SOURCE, "test", AT);
    Rollout later = Examples.rollout();
    later.setTime(AT.plusSeconds(1000));
    later.setPromptTime(AT);
    assertTrue(matches(later));
    later.setPromptTime(Instant.EPOCH);
    assertTrue(matches(later), "a prompt of unknown time");
    later.setPromptTime(AT.plusMillis(1));
    assertFalse(matches(later), "a later prompt");
    later.setPromptTime(null);
    assertFalse(matches(later), "without it, the rollout's own time counts");
  }

  @Test
  void anAnnotatorMatchesJudgmentsUpToTheTimeOfTheWithdrawal() {
    add(WithdrawnBy.ANNOTATOR, "ann", AT);
    assertTrue(matches(Examples.judgment()));
    Judgment later = Examples.judgment();
    later.setTime(AT.plusMillis(1));
    assertFalse(matches(later), "the annotator came back");
    Judgment unknown = Examples.judgment();
    unknown.setTime(Instant.EPOCH);
    assertTrue(matches(unknown));
    Judgment other = Examples.judgment();
    other.setAnnotator("bob");
    assertFalse(matches(other));
    assertFalse(matches(Examples.prompt()));
  }

  @Test
  void aSourceMatchesAllKindsOfRecords() {
    add(WithdrawnBy.SOURCE, "test", AT);
    assertTrue(matches(Examples.prompt()));
    assertTrue(matches(Examples.demonstration()));
    assertTrue(matches(Examples.judgment()));
    assertTrue(matches(Examples.rollout()));
  }

  @Test
  void withdrawalsAddUp() {
    add(WithdrawnBy.SOURCE, "test", AT.minusMillis(1));
    assertFalse(matches(Examples.prompt()));
    Withdrawal again = new Withdrawal("SOURCEtest", WithdrawnBy.SOURCE, "test", "", "", AT);
    assertTrue(withdrawn.add(again), "a later time under the same id");
    assertTrue(matches(Examples.prompt()));
    assertFalse(withdrawn.add(again), "known");
    assertEquals(1, withdrawn.size());
    withdrawn.add(new Withdrawal("w", WithdrawnBy.SOURCE, "test", "", "", Instant.ofEpochMilli(1)));
    assertTrue(matches(Examples.prompt()), "an earlier time takes nothing back");
  }

  @Test
  void aWithdrawalWithoutTimeMatchesEveryTime() {
    add(WithdrawnBy.SOURCE, "test", Instant.EPOCH);
    assertTrue(matches(Examples.prompt()));
  }

  @Test
  void everyWithdrawalMatchesWhatIsOfUnknownRecords() {
    assertFalse(withdrawn.contains(Provenance.UNKNOWN));
    add(WithdrawnBy.ID, "j9", AT);
    assertTrue(withdrawn.contains(Provenance.UNKNOWN));
    assertFalse(withdrawn.contains(Provenance.ofId("j8")));
  }

  @Test
  void aHigherRevisionReplacesARecordOfTheSameId() {
    Judgment former = Examples.judgment();
    Judgment later = Judgment.newBuilder(former).setRevision(4).build();
    assertTrue(Provenance.of(former).isRevisedBy(Provenance.of(later)));
    assertFalse(Provenance.of(later).isRevisedBy(Provenance.of(former)));
    assertFalse(Provenance.of(former).isRevisedBy(Provenance.of(former)));
    Judgment first = Judgment.newBuilder(former).setRevision(null).build();
    assertEquals(0, Provenance.of(first).revision());
    Judgment other = Judgment.newBuilder(later).setJudgmentId("j2").build();
    assertFalse(Provenance.of(former).isRevisedBy(Provenance.of(other)));
  }

  @Test
  void recordsOfNoPersonHaveNone() {
    assertThrows(IllegalArgumentException.class, () -> Provenance.of(Examples.withdrawal()));
  }
}
