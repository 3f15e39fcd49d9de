package io.millrace.model.training;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HashSet;
import java.util.Set;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class RandomStreamTest {

  private static final int STREAMS = 200;
  private static final int LENGTH = 200;

  /** Streams at neighbouring numbers once were each other's continuation, a draw later. */
  @Test
  void noStreamOfASeedIsALaterPartOfAnother() {
    for (long seed : new long[] {0, 1, 7, -1, 0x9E3779B97F4A7C15L}) {
      Set<Long> seen = new HashSet<>();
      for (int number = 0; number < STREAMS; number++) {
        SplittableRandom random = RandomStream.of(seed, number);
        for (int i = 0; i < LENGTH; i++) {
          assertTrue(seen.add(random.nextLong()), "seed " + seed + ", stream " + number);
        }
      }
    }
  }

  @Test
  void aStreamIsThatOfItsSeedAndNumber() {
    assertEquals(RandomStream.of(3, 5).nextLong(), RandomStream.of(3, 5).nextLong());
    // Seed and number are not exchangeable, nor is their sum what counts.
    Set<Long> firsts = new HashSet<>();
    for (int seed = 0; seed < 20; seed++) {
      for (int number = 0; number < 20; number++) {
        assertTrue(firsts.add(RandomStream.of(seed, number).nextLong()), seed + " " + number);
      }
    }
  }
}
