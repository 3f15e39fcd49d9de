package io.millrace.model.ppo;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.function.ToDoubleFunction;
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
    float[] ones = {1, 1, 1};
    assertEquals(-0.5, KlEstimator.K1.sum(logProbs, reference, ones));
    assertEquals(0.625, KlEstimator.K2.sum(logProbs, reference, ones));
    // k1 = 0.5, −1, 0.
    assertEquals(
        2 * 0.5 - 0.25, KlEstimator.K1.sum(logProbs, reference, new float[] {2, 0.25f, 9}));
    assertThrows(
        IllegalArgumentException.class, () -> KlEstimator.K1.sum(logProbs, new float[2], ones));
    assertThrows(
        IllegalArgumentException.class,
        () -> KlEstimator.K1.sum(logProbs, reference, new float[2]));
  }

  @Test
  void penaltyIsOnEveryTokenAndTheRewardOnTheLast() {
    KlPenalty penalty = new KlPenalty(KlEstimator.K1, KlPlacement.REWARD, 0.75);
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
        new double[] {-3 - 0.1 * 0.5},
        KlPenalty.defaults().rewards(new float[] {-1}, new float[] {-1.5f}, -3, false, 0.1),
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
    float[] ones = {1, 1, 1, 1};
    assertEquals(1.3 - beta * KlEstimator.K1.sum(logProbs, reference, ones), sum, 1e-12);
  }

  @ParameterizedTest
  @EnumSource
  void slopesAreTheDerivativesByTheLogProb(KlEstimator estimator) {
    double h = 1e-5;
    for (double logProb : new double[] {-0.1, -1, -2.5, -30}) {
      for (double reference : new double[] {-0.2, -1.5, -4}) {
        double numeric =
            (estimator.estimate(logProb + h, reference)
                    - estimator.estimate(logProb - h, reference))
                / (2 * h);
        assertEquals(numeric, estimator.slope(reference - logProb), 1e-6 * (1 + Math.abs(numeric)));
      }
    }
  }

  /**
   * Over a whole distribution, with exact expectations: the mean gradient of k2 in the loss, and of
   * k1 in the reward, is that of KL(π‖π_0); that of k3 in the loss is that of KL(π_0‖π). Every
   * other combination is none of the two, and is refused.
   */
  @Test
  void onlyAcceptedCombinationsHaveTheGradientOfAKl() {
    double[] logits = {0.3, -1.2, 0.9, 0.1};
    double[] reference = softmax(new double[] {-0.4, 0.2, 0.5, -0.1});
    double[] forward = numericGradient(logits, p -> kl(p, reference));
    double[] backward = numericGradient(logits, p -> kl(reference, p));
    for (KlEstimator estimator : KlEstimator.values()) {
      for (KlPlacement placement : KlPlacement.values()) {
        double[] mean = meanGradient(estimator, placement, logits, reference);
        boolean isKl = isClose(mean, forward) || isClose(mean, backward);
        assertEquals(isKl, estimator.isFor(placement), estimator + " in the " + placement);
        if (isKl) {
          assertTrue(isClose(mean, estimator == KlEstimator.K3 ? backward : forward));
          KlPenalty accepted = new KlPenalty(estimator, placement, 1);
          assertEquals(placement, accepted.placement());
        } else {
          assertThrows(
              IllegalArgumentException.class, () -> new KlPenalty(estimator, placement, 1));
        }
      }
    }
  }

  /** Σ_y π(y)·g·∂log π(y)/∂z: g is the estimate in the reward, and its slope in the loss. */
  private static double[] meanGradient(
      KlEstimator estimator, KlPlacement placement, double[] logits, double[] reference) {
    double[] p = softmax(logits);
    double[] mean = new double[p.length];
    for (int y = 0; y < p.length; y++) {
      double logRatio = Math.log(reference[y] / p[y]);
      double g =
          placement == KlPlacement.REWARD
              ? estimator.ofLogRatio(logRatio)
              : estimator.slope(logRatio);
      for (int z = 0; z < p.length; z++) {
        mean[z] += p[y] * g * ((y == z ? 1 : 0) - p[z]);
      }
    }
    return mean;
  }

  private static double[] numericGradient(
      double[] logits, ToDoubleFunction<double[]> ofDistribution) {
    double[] gradient = new double[logits.length];
    for (int i = 0; i < gradient.length; i++) {
      double[] up = logits.clone();
      double[] down = logits.clone();
      up[i] += 1e-5;
      down[i] -= 1e-5;
      gradient[i] =
          (ofDistribution.applyAsDouble(softmax(up)) - ofDistribution.applyAsDouble(softmax(down)))
              / 2e-5;
    }
    return gradient;
  }

  private static boolean isClose(double[] a, double[] b) {
    double largest = 0;
    for (int i = 0; i < a.length; i++) {
      largest = Math.max(largest, Math.abs(a[i] - b[i]));
    }
    return largest < 1e-8;
  }

  private static double[] softmax(double[] logits) {
    double sum = Arrays.stream(logits).map(Math::exp).sum();
    return Arrays.stream(logits).map(z -> Math.exp(z) / sum).toArray();
  }

  private static double kl(double[] p, double[] q) {
    double sum = 0;
    for (int i = 0; i < p.length; i++) {
      sum += p[i] * Math.log(p[i] / q[i]);
    }
    return sum;
  }

  @Test
  void theLossIsAMeanOfWeightedEstimates() {
    float[] logProbs = {-1, -2};
    float[] reference = {-1.5f, -1};
    float[] weights = {2, 0.5f};
    float[] derivatives = {10, 20};
    KlPenalty penalty = new KlPenalty(KlEstimator.K2, KlPlacement.LOSS, 1);
    // k2 = 0.125 and 0.5, slopes 0.5 and −1, over 4 tokens of the mini-batch.
    assertEquals(
        0.1 * (2 * 0.125 + 0.5 * 0.5) / 4,
        penalty.loss(derivatives, logProbs, reference, weights, 0.1, part(2, 4)),
        1e-12);
    assertArrayEquals(
        new float[] {10 + 0.1f * 2 * 0.5f / 4, 20 - 0.1f * 0.5f / 4}, derivatives, 1e-6f);
    assertArrayEquals(new double[] {0, 3}, penalty.rewards(logProbs, reference, 3, false, 0.1));
    assertEquals(
        0, KlPenalty.defaults().loss(derivatives, logProbs, reference, weights, 0.1, part(2, 4)));
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
    assertThrows(
        IllegalArgumentException.class,
        () -> new KlPenalty(KlEstimator.K1, KlPlacement.REWARD, -1));
    IllegalArgumentException refused =
        assertThrows(
            IllegalArgumentException.class, () -> new KlPenalty(null, KlPlacement.LOSS, 1));
    assertTrue(refused.getMessage().contains("K1, K2 or K3"));
  }

  /** Tokens of one response that count alike, of a mini-batch with more. */
  private static PpoObjective.Part part(int tokens, long responseTokens) {
    return PpoObjective.defaults().part(new int[] {tokens}, responseTokens, 1);
  }
}
