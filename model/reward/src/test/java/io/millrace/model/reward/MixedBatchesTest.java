package io.millrace.model.reward;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.model.reward.MixedBatches.Batch;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/** Records are texts such as own/17: the source and a number. */
class MixedBatchesTest {

  private static final long SEED = 3;
  private static final SourceRatios MIX = SourceRatios.of(Map.of("own", 0.75, "open", 0.25));

  private static MixedBatches<String> batches(SourceRatios ratios, int size, int replay) {
    return new MixedBatches<>(ratios, size, replay, SEED);
  }

  private static String source(String item) {
    return item.substring(0, item.indexOf('/'));
  }

  private static long count(List<String> items, String source) {
    return items.stream().filter(item -> source(item).equals(source)).count();
  }

  /** Feeds records as a job does, and returns all batches, the last ones not due. */
  private static List<Batch<String>> feed(MixedBatches<String> batches, List<String> items) {
    List<Batch<String>> taken = new ArrayList<>();
    for (String item : items) {
      batches.add(source(item), item);
      while (batches.isDue()) {
        taken.add(batches.take());
      }
    }
    while (batches.waiting() > 0) {
      taken.add(batches.take());
    }
    return taken;
  }

  /** A stream of {@code own} with this probability, of {@code open} otherwise. */
  private static List<String> stream(int records, double own) {
    SplittableRandom random = new SplittableRandom(SEED);
    List<String> items = new ArrayList<>();
    for (int i = 0; i < records; i++) {
      items.add((random.nextDouble() < own ? "own/" : "open/") + i);
    }
    return items;
  }

  @Test
  void withoutAMixRecordsAreTakenAsTheyComeAndNoneIsReplayed() {
    MixedBatches<String> batches = batches(SourceRatios.asTheyCome(), 4, 100);
    List<Batch<String>> taken = new ArrayList<>();
    List<String> items = stream(10, 0.5);
    for (String item : items) {
      batches.add(SourceRatios.ANY, item);
      if (batches.isDue()) {
        taken.add(batches.take());
      }
    }
    assertEquals(2, batches.waiting());
    taken.add(batches.take());
    assertEquals(List.of(4, 4, 2), taken.stream().map(batch -> batch.fresh().size()).toList());
    assertEquals(items, taken.stream().flatMap(batch -> batch.fresh().stream()).toList());
    assertTrue(taken.stream().allMatch(batch -> batch.replayed().isEmpty()));
  }

  @Test
  void everyRecordIsFreshOnceWhateverTheStreamsRatioIs() {
    for (double own : new double[] {0, 0.02, 0.5, 0.75, 0.98, 1}) {
      List<String> items = stream(2000, own);
      List<String> fresh =
          feed(batches(MIX, 16, 64), items).stream()
              .flatMap(batch -> batch.fresh().stream())
              .toList();
      assertEquals(items.size(), fresh.size());
      assertEquals(new HashSet<>(items), new HashSet<>(fresh));
    }
  }

  @Test
  void everyFullBatchKeepsTheRatioOnceEachSourceHasBeenSeen() {
    List<Batch<String>> taken = feed(batches(MIX, 16, 64), stream(4000, 0.3));
    for (Batch<String> batch : taken.subList(10, taken.size() - 2)) {
      assertEquals(12, count(batch.all(), "own"));
      assertEquals(4, count(batch.all(), "open"));
      assertEquals(16, new HashSet<>(batch.all()).size(), "none twice in a batch");
    }
    // 70 % of the stream is open, a quarter of a batch: about 2800 / 4 batches.
    assertEquals(700, taken.size(), 30);
  }

  @Test
  void aStreamThatHasTheRatioIsHardlyEverFilledUp() {
    List<String> items = new ArrayList<>();
    for (int i = 0; i < 4000; i++) {
      items.add((i % 4 == 0 ? "open/" : "own/") + i);
    }
    List<Batch<String>> regular = feed(batches(MIX, 16, 64), items);
    assertEquals(250, regular.size());
    assertTrue(regular.stream().allMatch(batch -> batch.replayed().isEmpty()));

    long replayed =
        feed(batches(MIX, 64, 64), stream(8000, 0.75)).stream()
            .mapToLong(batch -> batch.replayed().size())
            .sum();
    assertTrue(replayed < 8000 / 20, replayed + " of 8000 replayed");
  }

  @Test
  void onlyWhatWasLearnedFromIsReplayed() {
    HashSet<String> learned = new HashSet<>();
    for (Batch<String> batch : feed(batches(MIX, 16, 8), stream(1000, 0.3))) {
      assertTrue(learned.containsAll(batch.replayed()));
      learned.addAll(batch.fresh());
    }
  }

  @Test
  void queuesStayBelowTwoBatches() {
    MixedBatches<String> batches = batches(MIX, 16, 64);
    for (String item : stream(3000, 0.1)) {
      batches.add(source(item), item);
      if (batches.isDue()) {
        batches.take();
        assertFalse(batches.isDue());
      }
      assertTrue(batches.waiting() < 32);
    }
  }

  @Test
  void aSourceThatNeverCameLeavesItsPlacesEmpty() {
    List<Batch<String>> taken = feed(batches(MIX, 16, 64), stream(24, 1));
    assertEquals(List.of(12, 12), taken.stream().map(batch -> batch.all().size()).toList());
  }

  @Test
  void aPartialBatchTakesAllThatWaitsAndKeepsTheRatio() {
    MixedBatches<String> batches = batches(MIX, 16, 64);
    feed(batches, stream(1000, 0.75));
    batches.add("own", "own/1001");
    batches.add("open", "open/1002");
    batches.add("open", "open/1003");
    Batch<String> last = batches.take();
    assertEquals(3, last.fresh().size());
    assertEquals(2, count(last.all(), "open"));
    assertEquals(6, count(last.all(), "own"), "two open want six own: one new, five again");
    assertThrows(IllegalStateException.class, batches::take);
  }

  @Test
  void recordsOfASourceThatIsNoLongerMixedGoOnTopOfTheNextBatch() {
    MixedBatches<String> batches = batches(MIX, 16, 64);
    batches.add("gone", "gone/1");
    for (int i = 0; i < 12; i++) {
      batches.add("own", "own/" + i);
    }
    assertEquals(13, batches.take().fresh().size());
    assertEquals(0, batches.waiting());
  }

  @Test
  void theReplayBufferIsAUniformSampleOfBoundedSize() {
    SplittableRandom random = new SplittableRandom(SEED);
    int[] kept = new int[100];
    for (int run = 0; run < 2000; run++) {
      Reservoir<Integer> reservoir = new Reservoir<>(10);
      for (int i = 0; i < 100; i++) {
        reservoir.add(i, random);
      }
      assertEquals(10, reservoir.size());
      reservoir.sample(10, random).forEach(item -> kept[item]++);
    }
    for (int count : kept) {
      // Expected 200 with a standard deviation of 13.4.
      assertEquals(200, count, 70);
    }
    assertEquals(0, new Reservoir<Integer>(0).sample(3, random).size());
  }

  @Test
  void restoredBatchesGoOnWithTheSameBatches() {
    List<String> items = stream(3000, 0.4);
    List<Batch<String>> straight = feed(batches(MIX, 16, 20), items);
    List<Batch<String>> resumed = new ArrayList<>();
    MixedBatches<String> batches = batches(MIX, 16, 20);
    for (int i = 0; i < items.size(); i++) {
      batches.add(source(items.get(i)), items.get(i));
      if (i % 37 == 0) {
        MixedBatches.State<String> state = batches.state();
        batches = batches(MIX, 16, 20);
        batches.restore(state);
        assertEquals(state, batches.state());
      }
      if (batches.isDue()) {
        resumed.add(batches.take());
      }
    }
    while (batches.waiting() > 0) {
      resumed.add(batches.take());
    }
    assertEquals(straight, resumed);
  }

  @Test
  void aSmallerBufferOrAnotherMixRestoresTheState() {
    MixedBatches<String> batches = batches(MIX, 16, 20);
    feed(batches, stream(500, 0.4));
    batches.add("open", "open/501");
    MixedBatches<String> other = batches(SourceRatios.of(Map.of("own", 0.5, "new", 0.5)), 16, 3);
    other.restore(batches.state());
    assertEquals(1, other.waiting());
    for (int i = 0; i < 16; i++) {
      assertFalse(other.isDue());
      other.add("new", "new/" + i);
    }
    assertTrue(other.isDue());
    Batch<String> batch = other.take();
    assertEquals(9, batch.fresh().size());
    assertEquals(3, count(batch.replayed(), "own"));
  }

  @Test
  void aStateDoesNotChangeWithTheBatches() {
    MixedBatches<String> batches = batches(MIX, 16, 20);
    feed(batches, stream(500, 0.4));
    batches.add("open", "open/501");
    MixedBatches.State<String> state = batches.state();
    assertEquals(Map.of("open", List.of("open/501")), state.queues());
    List<String> kept = List.copyOf(state.replays().get("open").kept());
    feed(batches, stream(500, 0.4));
    assertEquals(Map.of("open", List.of("open/501")), state.queues());
    assertEquals(kept, state.replays().get("open").kept());
  }

  @Test
  void removedRecordsAreNeitherFreshNorReplayed() {
    MixedBatches<String> batches = batches(MIX, 8, 16);
    List<Batch<String>> before = feed(batches, stream(60, 0.75));
    batches.add("own", "own/1000");
    batches.add("open", "open/1001");
    int kept =
        batches.state().replays().values().stream().mapToInt(replay -> replay.kept().size()).sum();
    int removed = batches.removeIf(item -> source(item).equals("own"));
    assertEquals(
        kept + 1 - batches.state().replays().get("open").kept().size(),
        removed,
        "those kept, and the one that waits");
    assertEquals(List.of(), batches.state().replays().get("own").kept());
    Batch<String> next = batches.take();
    assertEquals(List.of("open/1001"), next.fresh());
    assertEquals(0, count(next.all(), "own"));
    assertTrue(before.size() > 1);
  }

  /**
   * Half of 40 records are removed from a sample of 10, then 40 more come. Each of the 60 that are
   * left is then kept equally often: the places of removed records are filled at the rate of the
   * others.
   */
  @Test
  void aSampleStaysUniformAfterARemoval() {
    int[] kept = new int[80];
    int runs = 20_000;
    for (int run = 0; run < runs; run++) {
      SplittableRandom random = new SplittableRandom(run);
      Reservoir<Integer> reservoir = new Reservoir<>(10);
      for (int i = 0; i < 80; i++) {
        if (i == 40) {
          int _ = reservoir.removeIf(item -> item % 2 == 0);
        }
        reservoir.add(i, random);
      }
      reservoir.state().kept().forEach(item -> kept[item]++);
    }
    for (int i = 0; i < 80; i++) {
      boolean removed = i < 40 && i % 2 == 0;
      // Each has one of 10 places of 80; six standard deviations.
      assertEquals(removed ? 0 : runs / 8, kept[i], removed ? 0 : 281, "record " + i);
    }
  }

  @Test
  void refusesAReplayBufferWithMoreRecordsThanItSaw() {
    assertThrows(
        IllegalArgumentException.class, () -> new MixedBatches.Replay<>(1, List.of("a", "b")));
  }
}
