package io.millrace.model.reward;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class EnsembleRewardTest {

  @Test
  void workedByHand() {
    // Mean 2, standard deviation 2.
    float[] heads = {0, 4};
    assertEquals(2, EnsembleReward.deviation(heads));
    assertEquals(-1f, new EnsembleReward(1.5).of(2, heads));
    assertEquals(2f, EnsembleReward.MEAN.of(2, heads));
  }

  @Test
  void oneHeadHasNoDisagreement() {
    assertEquals(3.25f, EnsembleReward.MEAN.of(3.25f, new float[0]));
    assertEquals(0, EnsembleReward.deviation(new float[] {7}));
  }

  @Test
  void refusesCoefficientsBelowZero() {
    assertThrows(IllegalArgumentException.class, () -> new EnsembleReward(-1));
    assertThrows(IllegalArgumentException.class, () -> new EnsembleReward(Double.NaN));
  }

  /** Oza and Russell: Poisson with mean 1, so 37 % of the judgments are left out of a head. */
  @Test
  void headsDrawTheirWeightsFromPoisson() {
    int heads = 5;
    int draws = 20_000;
    int[] counts = new int[30];
    double sum = 0;
    int sameInTwo = 0;
    for (long draw = 0; draw < draws; draw++) {
      for (int head = 0; head < heads; head++) {
        int weight = HeadWeights.of(draw, head, heads);
        assertEquals(weight, HeadWeights.of(draw, head, heads));
        counts[weight]++;
        sum += weight;
      }
      sameInTwo += HeadWeights.of(draw, 0, heads) == HeadWeights.of(draw, 1, heads) ? 1 : 0;
      assertEquals(1, HeadWeights.of(draw, 0, 1));
    }
    double all = (double) draws * heads;
    assertEquals(1, sum / all, 0.01);
    assertEquals(Math.exp(-1), counts[0] / all, 0.01);
    assertEquals(Math.exp(-1), counts[1] / all, 0.01);
    assertEquals(Math.exp(-1) / 2, counts[2] / all, 0.01);
    assertEquals(Math.exp(-1) / 6, counts[3] / all, 0.01);
    // Σ P(k)² = e^−2 · I_0(2).
    assertEquals(0.3085, sameInTwo / (double) draws, 0.02);
    assertTrue(counts[29] == 0);
  }
}
