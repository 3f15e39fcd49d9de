package io.millrace.model.ppo;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class KlTest {

  @Test
  void estimatesWorkedByHand() {
    // π = 0.5, π_0 = 0.25: r = 1/2, log r = −ln 2.
    double logProb = Math.log(0.5);
    double reference = Math.log(0.25);
    assertEquals(Math.log(2), KlEstimator.K1.estimate(logProb, reference), 1e-15);
    assertEquals(0.2402265069591007, KlEstimator.K2.estimate(logProb, reference), 1e-15);
    assertEquals(-0.5 + Math.log(2), KlEstimator.K3.estimate(logProb, reference), 1e-15);
  }

  @Test
  void k1KeepsItsSign() {
    assertEquals(-1.5, KlEstimator.K1.estimate(-2, -0.5));
    assertEquals(1.125, KlEstimator.K2.estimate(-2, -0.5));
    assertEquals(Math.exp(1.5) - 1 - 1.5, KlEstimator.K3.estimate(-2, -0.5), 1e-14);
  }

  @ParameterizedTest
  @EnumSource
  void equalPoliciesHaveNoKl(KlEstimator estimator) {
    assertEquals(0, estimator.estimate(-3.25, -3.25), 0.0);
  }

  @Test
  void expectationsOverADistribution() {
    double[] policy = {0.7, 0.2, 0.1};
    double[] reference = {0.3, 0.3, 0.4};
    double kl = 0;
    double k1 = 0;
    double k3 = 0;
    for (int i = 0; i < 3; i++) {
      kl += policy[i] * Math.log(policy[i] / reference[i]);
      double logProb = Math.log(policy[i]);
      double referenceLogProb = Math.log(reference[i]);
      k1 += policy[i] * KlEstimator.K1.estimate(logProb, referenceLogProb);
      k3 += policy[i] * KlEstimator.K3.estimate(logProb, referenceLogProb);
    }
    assertEquals(kl, k1, 1e-14);
    assertEquals(kl, k3, 1e-14);
  }

  @Test
  void k3IsExactForTinyDifferencesAndBoundedForHugeOnes() {
    assertEquals(0.5e-16, KlEstimator.K3.ofLogRatio(1e-8), 1e-17);
    assertEquals(Math.exp(20) - 21, KlEstimator.K3.estimate(-5000, 0), 1e-6);
    assertEquals(4999, KlEstimator.K3.estimate(0, -5000), 1e-9);
  }

  @ParameterizedTest
  @EnumSource
  void refusesLogProbsThatAreNotFinite(KlEstimator estimator) {
    for (double bad : new double[] {Double.NEGATIVE_INFINITY, Double.NaN}) {
      assertThrows(IllegalArgumentException.class, () -> estimator.estimate(bad, -1));
      assertThrows(IllegalArgumentException.class, () -> estimator.estimate(-1, bad));
    }
  }

  @Test
  void sumsOverAResponse() {
    float[] logProbs = {-1, -2, -0.5f};
    float[] reference = {-1.5f, -1, -0.5f};
    assertEquals(-0.5, KlEstimator.K1.sum(logProbs, reference));
    assertEquals(0.625, KlEstimator.K2.sum(logProbs, reference));
    assertThrows(IllegalArgumentException.class, () -> KlEstimator.K1.sum(logProbs, new float[2]));
  }

  @Test
  void penaltyIsOnEveryTokenAndTheRewardOnTheLast() {
    KlPenalty penalty = new KlPenalty(KlEstimator.K1, 0.75);
    float[] logProbs = {-1, -2, -0.5f};
    float[] reference = {-1.5f, -1, -1};
    // k1 = 0.5, −1, 0.5.
    assertArrayEquals(
        new double[] {-0.05, 0.1, -0.05 + 2},
        penalty.rewards(logProbs, reference, 2, false, 0.1),
        1e-15);
    assertArrayEquals(
        new double[] {-0.05, 0.1, -0.05 + 2 - 0.75},
        penalty.rewards(logProbs, reference, 2, true, 0.1),
        1e-15);
  }

  @Test
  void aResponseOfOneTokenGetsBoth() {
    assertArrayEquals(
        new double[] {-3 - 0.1 * 0.125},
        new KlPenalty(KlEstimator.K2, 1)
            .rewards(new float[] {-1}, new float[] {-1.5f}, -3, false, 0.1),
        1e-15);
  }

  @Test
  void rewardsOfAResponseSumToThePapersReward() {
    float[] logProbs = {-0.1f, -3.2f, -1.4f, -0.7f};
    float[] reference = {-0.3f, -2.9f, -1.9f, -0.2f};
    double beta = 0.01;
    double sum = 0;
    for (double reward : KlPenalty.defaults().rewards(logProbs, reference, 1.3, false, beta)) {
      sum += reward;
    }
    assertEquals(1.3 - beta * KlEstimator.K1.sum(logProbs, reference), sum, 1e-12);
  }

  @Test
  void whereEveryResponseIsCutAllAreMovedAlike() {
    KlPenalty penalty = KlPenalty.defaults();
    float[] same = {-1, -1};
    double[] scores = {-1.5, 0, 2};
    for (double score : scores) {
      double[] rewards = penalty.rewards(same, same, score, true, 0.01);
      assertEquals(0, rewards[0]);
      assertEquals(score - KlPenalty.DEFAULT_TRUNCATION_PENALTY, rewards[1], 1e-15);
    }
  }

  @Test
  void refusesWhatHasNoRewards() {
    KlPenalty penalty = KlPenalty.defaults();
    float[] one = {-1};
    float[] none = {};
    float[] infinite = {Float.NEGATIVE_INFINITY};
    assertThrows(IllegalArgumentException.class, () -> penalty.rewards(none, none, 1, false, 0.01));
    assertThrows(
        IllegalArgumentException.class, () -> penalty.rewards(one, new float[2], 1, false, 0.01));
    assertThrows(
        IllegalArgumentException.class, () -> penalty.rewards(infinite, one, 1, false, 0.01));
    assertThrows(
        IllegalArgumentException.class, () -> penalty.rewards(one, infinite, 1, false, 0.01));
    assertThrows(
        IllegalArgumentException.class, () -> penalty.rewards(one, one, Double.NaN, false, 0.01));
    assertThrows(IllegalArgumentException.class, () -> penalty.rewards(one, one, 1, false, -0.01));
    assertThrows(IllegalArgumentException.class, () -> new KlPenalty(KlEstimator.K1, -1));
    IllegalArgumentException refused =
        assertThrows(IllegalArgumentException.class, () -> new KlPenalty(null, 1));
    assertTrue(refused.getMessage().contains("K1, K2 or K3"));
  }
}
