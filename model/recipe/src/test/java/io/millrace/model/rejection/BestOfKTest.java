package io.millrace.model.rejection;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class BestOfKTest {

  @Test
  void threeSamplesByHand() {
    BestOfK ofThree = new BestOfK(3);
    double[] rewards = {4, 1, 2};
    // Pairs 4 1, 4 2, 1 2: their best are 4, 4, 2, their medians 2.5, 3, 1.5.
    assertArrayEquals(new double[] {7.0 / 3, 10.0 / 3, 4}, ofThree.best(rewards), 1e-15);
    assertArrayEquals(new double[] {7.0 / 3, 7.0 / 3, 2}, ofThree.median(rewards), 1e-15);
  }

  @Test
  void tiesCountAsOftenAsTheyStandThere() {
    // Pairs of 1 1 5 5: one 1 1, one 5 5, four mixed; triples: two with one 5, two with two.
    double[] rewards = {5, 1, 5, 1};
    assertArrayEquals(
        new double[] {3, (1 + 5 * 5) / 6.0, 5, 5}, new BestOfK(4).best(rewards), 1e-15);
    assertArrayEquals(
        new double[] {3, 3, (1 + 1 + 5 + 5) / 4.0, 3}, new BestOfK(4).median(rewards), 1e-15);
  }

  @Test
  void equalSamplesAreWorthTheSameHoweverMany() {
    double[] same = new double[256];
    Arrays.fill(same, -1.25);
    BestOfK ofMany = new BestOfK(256);
    assertArrayEquals(same, ofMany.best(same), 1e-12);
    assertArrayEquals(same, ofMany.median(same), 1e-12);
  }

  @Test
  void oneSampleIsItsOwnBestAndMedian() {
    assertArrayEquals(new double[] {-3.5}, new BestOfK(1).best(new double[] {-3.5}));
    assertArrayEquals(new double[] {-3.5}, new BestOfK(1).median(new double[] {-3.5}));
  }

  /** The mean over every subset, one by one. */
  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 4, 5, 8, 11, 12})
  void isTheMeanOverAllSubsets(int samples) {
    Random random = new Random(samples);
    double[] rewards = random.doubles(samples, -3, 5).toArray();
    if (samples > 4) {
      rewards[3] = rewards[1];
    }
    double[] best = new double[samples];
    double[] median = new double[samples];
    long[] subsets = new long[samples];
    for (int members = 1; members < 1 << samples; members++) {
      double[] subset = new double[Integer.bitCount(members)];
      int at = 0;
      for (int i = 0; i < samples; i++) {
        if ((members >> i & 1) == 1) {
          subset[at++] = rewards[i];
        }
      }
      Arrays.sort(subset);
      int k = subset.length;
      best[k - 1] += subset[k - 1];
      median[k - 1] += (subset[(k - 1) / 2] + subset[k / 2]) / 2;
      subsets[k - 1]++;
    }
    for (int k = 0; k < samples; k++) {
      best[k] /= subsets[k];
      median[k] /= subsets[k];
    }
    BestOfK ofK = new BestOfK(samples);
    assertArrayEquals(best, ofK.best(rewards), 1e-12);
    assertArrayEquals(median, ofK.median(rewards), 1e-12);
  }

  @Test
  void growsWithTheNumberOfSamplesAndEndsWithTheBestOfAll() {
    double[] rewards = new Random(7).doubles(256, -4, 4).toArray();
    BestOfK ofK = new BestOfK(256);
    double[] best = ofK.best(rewards);
    assertEquals(Arrays.stream(rewards).average().orElseThrow(), best[0], 1e-12);
    assertEquals(Arrays.stream(rewards).max().orElseThrow(), best[255], 1e-12);
    for (int k = 1; k < 256; k++) {
      assertTrue(best[k] >= best[k - 1], "at " + k);
    }
    double[] sorted = rewards.clone();
    Arrays.sort(sorted);
    assertEquals((sorted[127] + sorted[128]) / 2, ofK.median(rewards)[255], 1e-12);
  }

  @Test
  void rewardsAreLeftAsTheyWere() {
    double[] rewards = {3, 1, 2};
    new BestOfK(3).best(rewards);
    assertArrayEquals(new double[] {3, 1, 2}, rewards);
  }

  @ParameterizedTest
  @ValueSource(doubles = {Double.NaN, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY})
  void whatIsNotFiniteIsRefused(double value) {
    String message =
        assertThrows(
                IllegalArgumentException.class,
                () -> new BestOfK(3).best(new double[] {1, value, 2}))
            .getMessage();
    assertTrue(message.contains("element 1 is " + value), message);
  }

  @Test
  void anotherNumberOfRewardsIsRefused() {
    assertThrows(IllegalArgumentException.class, () -> new BestOfK(3).best(new double[2]));
    assertThrows(IllegalArgumentException.class, () -> new BestOfK(0));
  }
}
