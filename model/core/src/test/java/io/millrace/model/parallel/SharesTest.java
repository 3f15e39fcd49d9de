package io.millrace.model.parallel;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class SharesTest {

  @Test
  void sharesHaveAboutTheSameTokens() {
    assertArrayEquals(new int[] {0, 4}, Shares.ofItems(new int[] {1, 2, 3, 4}, 1));
    assertArrayEquals(new int[] {0, 2, 4}, Shares.ofItems(new int[] {5, 5, 5, 5}, 2));
    assertArrayEquals(new int[] {0, 1, 4}, Shares.ofItems(new int[] {9, 3, 3, 3}, 2));
    assertArrayEquals(new int[] {0, 3, 4}, Shares.ofItems(new int[] {3, 3, 3, 9}, 2));
  }

  @Test
  void eachRankGetsAnItemAsLongAsThereAreEnough() {
    assertArrayEquals(new int[] {0, 1, 2, 3}, Shares.ofItems(new int[] {1, 1, 100}, 3));
    assertArrayEquals(new int[] {0, 1, 2, 3}, Shares.ofItems(new int[] {100, 1, 1}, 3));
    assertArrayEquals(new int[] {0, 1, 2, 2}, Shares.ofItems(new int[] {7, 7}, 3));
    assertArrayEquals(new int[] {0, 0, 0}, Shares.ofItems(new int[] {}, 2));
  }

  @Test
  void randomSharesAreWholeAndBalanced() {
    SplittableRandom random = new SplittableRandom(3);
    for (int run = 0; run < 500; run++) {
      int ranks = random.nextInt(1, 6);
      int[] lengths = random.ints(random.nextInt(ranks, 40), 1, 60).toArray();
      int[] bounds = Shares.ofItems(lengths, ranks);
      assertEquals(0, bounds[0]);
      assertEquals(lengths.length, bounds[ranks]);
      double mean = Arrays.stream(lengths).sum() / (double) ranks;
      for (int rank = 0; rank < ranks; rank++) {
        assertTrue(bounds[rank + 1] > bounds[rank], Arrays.toString(bounds));
        int share = Arrays.stream(lengths, bounds[rank], bounds[rank + 1]).sum();
        if (lengths.length >= 4 * ranks) {
          assertTrue(Math.abs(share - mean) <= 60, share + " of " + mean);
        }
      }
    }
  }

  @Test
  void partsOfATensorBeginAtCacheLines() {
    assertArrayEquals(new long[] {0, 48, 101}, Shares.ofElements(101, 2));
    assertArrayEquals(new long[] {0, 1 << 20, 2 << 20, 3 << 20}, Shares.ofElements(3 << 20, 3));
    assertArrayEquals(new long[] {0, 0, 17}, Shares.ofElements(17, 2));
  }
}
