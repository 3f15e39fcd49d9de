package io.millrace.jobs.ppo;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.jobs.config.ConfigLoader;
import io.millrace.schemas.FinishReason;
import io.millrace.schemas.Rollout;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** Batches of two groups of two, and batches without groups. */
class WaitingBatchTest {

  private final List<String> stale = new ArrayList<>();
  private final List<String> alone = new ArrayList<>();

  private WaitingBatch batch(String... settings) {
    List<String> all =
        new ArrayList<>(
            List.of(
                "rollout.samples-per-prompt=2",
                "ppo.batch-size=4",
                "ppo.mini-batch-size=4",
                "ppo.score-batch-size=4"));
    all.addAll(List.of(settings));
    return new WaitingBatch(
        ConfigLoader.load(Optional.empty(), all).section(PpoSection.class),
        2,
        new WaitingBatch.Drops() {
          @Override
          public boolean refuses(ScoredRollout rollout) {
            return rollout.policyVersion() == 0 && stale.add(id(rollout));
          }

          @Override
          public void alone(ScoredRollout rollout) {
            alone.add(id(rollout));
          }
        });
  }

  private static String id(ScoredRollout rollout) {
    return rollout.rollout().getRolloutId();
  }

  /** A rollout of the prompt that its id begins with. */
  private static ScoredRollout rollout(String id, long version) {
    Rollout rollout =
        Rollout.newBuilder()
            .setRolloutId(id)
            .setPromptId(id.substring(0, 1))
            .setDialogue(List.of())
            .setPromptTokens(List.of((int) id.charAt(0)))
            .setResponseTokens(List.of(2))
            .setLogProbs(List.of(-1f))
            .setResponseText("")
            .setFinishReason(FinishReason.STOP)
            .setModel("policy")
            .setPolicyVersion(version)
            .setTemperature(1)
            .build();
    return new ScoredRollout(rollout, false, 0, 0, null, new float[] {-1});
  }

  private static void add(WaitingBatch batch, String... ids) {
    for (String id : ids) {
      batch.add(rollout(id, 1));
    }
  }

  private static List<String> ids(WaitingBatch batch) {
    return batch.rollouts().stream().map(WaitingBatchTest::id).toList();
  }

  private static int remove(WaitingBatch batch, boolean busy, String... ids) {
    return batch.removeIf(rollout -> Set.of(ids).contains(id(rollout)), busy);
  }

  @Test
  void withoutGroupsEachRolloutEntersAtOnce() {
    WaitingBatch batch = batch();
    add(batch, "a1", "b1", "c1");
    batch.add(rollout("d1", 0));
    assertEquals(List.of("d1"), stale);
    assertFalse(batch.isFull());
    add(batch, "d2");
    assertTrue(batch.isFull());
    assertEquals(0, remove(batch, true, "b1"));
    assertEquals(1, remove(batch, false, "b1", "x"));
    assertEquals(List.of("a1", "c1", "d2"), ids(batch));
    assertFalse(batch.closeOldest());
  }

  @Test
  void aBatchIsWholeGroups() {
    WaitingBatch batch = batch("ppo.advantage=rloo");
    add(batch, "a1", "b1", "c1", "b2");
    assertEquals(List.of("b1", "b2"), ids(batch));
    assertFalse(batch.isFull());
    add(batch, "c2");
    assertTrue(batch.isFull());
    assertEquals(1, batch.openGroups());
    batch.clear();
    assertEquals(1, batch.held(), "open groups stay");
  }

  @Test
  void withdrawnResponsesLeaveGroupsOpenAndClosed() {
    WaitingBatch batch = batch("ppo.advantage=rloo");
    add(batch, "a1", "b1", "b2", "d1", "c1", "c2");
    assertEquals(1, remove(batch, true, "a1", "b1"), "the batch is being learned from");
    assertEquals(List.of("b1", "b2", "c1", "c2"), ids(batch));
    assertEquals(2, remove(batch, false, "b1", "d1"));
    assertEquals(List.of("b2"), alone);
    assertEquals(List.of("c1", "c2"), ids(batch));
    assertEquals(0, batch.held());
    assertFalse(batch.isFull(), "another group takes the place");
    add(batch, "e1", "e2");
    assertTrue(batch.isFull());
  }

  @Test
  void staleResponsesAreDroppedAsTheirGroupEnters() {
    WaitingBatch batch = batch("ppo.advantage=rloo");
    batch.add(rollout("a1", 0));
    assertEquals(List.of(), stale);
    batch.add(rollout("a2", 1));
    assertEquals(List.of("a1"), stale);
    assertEquals(List.of("a2"), alone);
    assertEquals(List.of(), ids(batch));
  }
}
