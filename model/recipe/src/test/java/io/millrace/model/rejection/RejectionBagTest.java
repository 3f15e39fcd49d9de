package io.millrace.model.rejection;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.millrace.model.chat.Message;
import io.millrace.model.rejection.RejectionBag.Entry;
import io.millrace.model.rejection.RejectionBag.Scores;
import io.millrace.model.rejection.RejectionBag.Settings;
import io.millrace.model.reward.PiecewiseReward;
import io.millrace.model.supervised.SupervisedTrainer;
import io.millrace.schemas.state.StateReader;
import io.millrace.schemas.state.StateWriter;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Entries are named by their text: prompt, response, and what the reward is. */
class RejectionBagTest {

  private static RejectionBag bag(int capacity, double topShare, boolean newestOnly) {
    return new RejectionBag(
        new Settings(capacity, topShare, newestOnly, PiecewiseReward.defaults()));
  }

  /** A response to a helpful prompt that looks safe: its reward is the helpfulness score. */
  private static Entry helpful(int prompt, int response, double reward, long policy) {
    return entry(prompt, response, false, new Scores((float) reward, 5, 1, 1), policy);
  }

  private static Entry safety(int prompt, int response, double reward, long policy) {
    return entry(prompt, response, true, new Scores(9, (float) reward, 1, 1), policy);
  }

  private static Entry entry(
      int prompt, int response, boolean isSafety, Scores scores, long policy) {
    return new Entry(
        "id-" + prompt,
        List.of(Message.system("s"), Message.user("prompt " + prompt)),
        isSafety,
        new int[] {1, prompt},
        new int[] {response, 2},
        "response " + response,
        policy,
        0.8f,
        scores,
        prompt % 2 == 0 ? "even" : "odd",
        prompt);
  }

  @Test
  void removedEntriesAreNotSelectedAndDoNotCountAsEvicted() {
    RejectionBag bag = bag(100, 1, false);
    bag.add(helpful(10, 100, 1.5, 1));
    bag.add(helpful(11, 101, 0.5, 1));
    bag.add(helpful(10, 102, 1.0, 2));
    assertEquals(2, bag.removeIf(entry -> entry.provenance().ids().equals(List.of("id-10"))));
    assertEquals(List.of(101), responses(bag.select()));
    assertEquals(0, bag.evicted());
    assertEquals("odd", bag.entries().getFirst().provenance().source());
    assertEquals(11, bag.entries().getFirst().provenance().time());
  }

  private static List<Integer> responses(List<Entry> entries) {
    return entries.stream().map(entry -> entry.response()[0]).toList();
  }

  @Test
  void theBestOfEachPromptOverAllVersionsIsSelected() {
    RejectionBag bag = bag(100, 1, false);
    bag.add(helpful(10, 100, 1.5, 1));
    bag.add(helpful(11, 101, 0.5, 1));
    bag.add(helpful(10, 102, 1.0, 2));
    bag.add(helpful(11, 103, 0.75, 2));
    assertEquals(List.of(100, 103), responses(bag.select()));
  }

  @Test
  void onlyTheNewestPolicysSamplesCountWhereSaid() {
    RejectionBag bag = bag(100, 1, true);
    bag.add(helpful(10, 100, 1.5, 1));
    bag.add(helpful(12, 104, 3, 1));
    bag.add(helpful(10, 102, 1.0, 2));
    bag.add(safety(11, 103, 0.75, 2));
    assertEquals(List.of(102, 103), responses(bag.select()));
  }

  @Test
  void ofEqualRewardsTheNewerPolicysIsSelected() {
    RejectionBag bag = bag(100, 1, false);
    bag.add(helpful(10, 100, 1, 3));
    bag.add(helpful(10, 101, 1, 4));
    bag.add(helpful(10, 102, 1, 2));
    assertEquals(List.of(101), responses(bag.select()));
  }

  @Test
  void theTopShareIsTakenWithinEitherKindOfPrompt() {
    RejectionBag bag = bag(100, 0.5, false);
    // Every safety reward is below every helpful one.
    bag.add(safety(20, 200, -3, 1));
    bag.add(helpful(10, 100, 4, 1));
    bag.add(helpful(11, 101, 6, 1));
    bag.add(safety(21, 201, -2, 1));
    bag.add(helpful(12, 102, 5, 1));
    // Two of three, one of two; in the order in which they came.
    assertEquals(List.of(101, 201, 102), responses(bag.select()));
  }

  @Test
  void anUnsafeResponseToAHelpfulPromptIsJudgedBySafety() {
    RejectionBag bag = bag(100, 1, false);
    bag.add(entry(10, 100, false, new Scores(8, -4, 1, 1), 1));
    bag.add(helpful(10, 101, -1, 1));
    assertEquals(List.of(101), responses(bag.select()));
    double threshold = Math.log(0.15 / 0.85);
    assertEquals(
        -4 - 2 * (1 - Math.exp((-4 - threshold) / 2)), bag.reward(bag.entries().getFirst()), 1e-12);
  }

  @Test
  void theSameTextStaysOnceAsItWasSampledLast() {
    RejectionBag bag = bag(100, 1, false);
    bag.add(helpful(10, 100, 1, 1));
    bag.add(helpful(10, 101, 2, 1));
    bag.add(helpful(10, 100, 1, 2));
    assertEquals(2, bag.size());
    assertEquals(1, bag.duplicates());
    assertEquals(2, bag.entries().getFirst().policyVersion());
  }

  @Test
  void whatIsBeatenGoesFirstThenTheWorstOfEitherKind() {
    RejectionBag bag = bag(4, 1, false);
    bag.add(helpful(10, 100, 9, 1));
    bag.add(helpful(10, 101, 8, 2));
    bag.add(helpful(11, 102, 1, 1));
    bag.add(helpful(12, 103, 2, 1));
    bag.add(helpful(13, 104, 3, 1));
    bag.add(helpful(14, 105, 4, 1));
    bag.add(safety(20, 200, -5, 1));
    bag.add(safety(21, 201, -6, 1));
    // Six and two of eight in four places: three and one.
    assertEquals(4, bag.evict());
    assertEquals(List.of(100, 104, 105, 200), responses(bag.entries()));
    assertEquals(4, bag.evicted());
    assertEquals(0, bag.evict());
  }

  @Test
  void scoresOfOtherRewardModelsAreStale() {
    RejectionBag bag = bag(100, 1, false);
    bag.add(helpful(10, 100, 1, 1));
    bag.add(entry(11, 101, false, new Scores(2, 5, 2, 1), 1));
    bag.add(entry(12, 102, false, new Scores(3, 5, 2, 2), 1));
    bag.add(helpful(10, 103, 0.5, 1));
    assertEquals(List.of(100, 101, 103), responses(bag.staleScores(2, 2, 9)));
    List<Entry> first = bag.staleScores(2, 2, 1);
    assertEquals(List.of(100), responses(first));
    bag.rescore(first.getFirst(), new Scores(-1, 5, 2, 2));
    assertEquals(List.of(101, 103), responses(bag.staleScores(2, 2, 9)));
    assertEquals(1, bag.rescored());
    // By the new score the prompt's other response is the better one.
    assertEquals(List.of(101, 102, 103), responses(bag.select()));
    assertThrows(
        IllegalArgumentException.class,
        () -> bag.rescore(helpful(77, 7, 1, 1), new Scores(0, 0, 2, 2)));
  }

  @Test
  void theResponseAloneIsLearned() {
    SupervisedTrainer.Example example = helpful(10, 100, 1, 1).example();
    assertArrayEquals(new int[] {1, 10, 100, 2}, example.tokens());
    assertArrayEquals(new boolean[] {false, false, true, true}, example.loss());
  }

  @Test
  void goesOnFromItsState() throws Exception {
    RejectionBag bag = bag(3, 1, false);
    bag.add(helpful(10, 100, 9, 1));
    bag.add(helpful(10, 100, 8, 2));
    bag.add(safety(20, 200, -5, 1));
    bag.add(helpful(12, 103, 2, 1));
    bag.add(helpful(13, 104, 3, 1));
    bag.evict();
    byte[] state = state(bag);
    RejectionBag read = bag(3, 1, false);
    read.restore(StateReader.of(state).read(RejectionBag.State.class));
    assertArrayEquals(state, state(read));
    assertEquals(responses(bag.select()), responses(read.select()));
    assertEquals(bag.entries().getFirst().dialogue(), read.entries().getFirst().dialogue());
    assertEquals(1, read.duplicates());
    assertEquals(1, read.evicted());
  }

  private static byte[] state(RejectionBag bag) throws Exception {
    return StateWriter.toBytes(out -> out.write(bag.state()));
  }

  @Test
  void anEmptyBagSelectsNothing() {
    assertEquals(List.of(), bag(1, 0.5, true).select());
    assertThrows(IllegalArgumentException.class, () -> bag(0, 1, false));
    assertThrows(IllegalArgumentException.class, () -> bag(1, 0, false));
  }
}
