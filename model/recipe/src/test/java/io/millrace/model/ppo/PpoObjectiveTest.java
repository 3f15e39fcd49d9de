package io.millrace.model.ppo;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.model.contract.CentralDifference;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class PpoObjectiveTest {

  private final PpoObjective objective = PpoObjective.defaults();

  @ParameterizedTest
  @ValueSource(doubles = {-2.5, 0, 1e-9, 3})
  void ratioOneGivesMinusAdvantageAsLossAndDerivative(double advantage) {
    PpoObjective.PolicyToken token = objective.policyToken(-1.7, -1.7, advantage);
    assertEquals(1, token.ratio());
    assertEquals(-advantage, token.loss(), 0.0);
    assertEquals(-advantage, token.dLogProb(), 0.0);
    assertEquals(0, token.approximateKl());
    assertFalse(token.clipped());
    assertFalse(token.logRatioClamped());
  }

  @ParameterizedTest
  @CsvSource({
    // ratio, advantage, loss, derivative, clipped
    "1.5,  2, -2.4,  0, true",
    "1.5, -2,  3.0,  3, false",
    "0.5,  2, -1.0, -1, false",
    "0.5, -2,  1.6,  0, true",
    "1.1,  2, -2.2, -2.2, false",
    "0.9, -2,  1.8,  1.8, false",
    "1.5,  0,  0,    0, false",
  })
  void theFourCornersOfTheClip(
      double ratio, double advantage, double loss, double derivative, boolean clipped) {
    PpoObjective.PolicyToken token = objective.policyToken(Math.log(ratio) - 3, -3, advantage);
    assertEquals(ratio, token.ratio(), 1e-14);
    assertEquals(loss, token.loss(), 1e-14);
    assertEquals(derivative, token.dLogProb(), 1e-14);
    assertEquals(clipped, token.clipped());
    assertEquals(0.5 * Math.log(ratio) * Math.log(ratio), token.approximateKl(), 1e-14);
  }

  @Test
  void policyDerivativeAgreesWithDifferences() {
    int clipped = 0;
    for (double difference = -1.03; difference < 1.03; difference += 0.05) {
      for (double advantage : new double[] {-1.7, -0.2, 0, 0.4, 2.3}) {
        PpoObjective.PolicyToken token = objective.policyToken(-2 + difference, -2, advantage);
        double numeric =
            CentralDifference.derivative(
                x -> objective.policyToken(x, -2, advantage).loss(), -2 + difference);
        assertEquals(numeric, token.dLogProb(), 1e-8, "log-ratio " + difference);
        clipped += token.clipped() ? 1 : 0;
      }
    }
    assertTrue(clipped > 20);
  }

  @ParameterizedTest
  @CsvSource({"25, -1", "-25, 1", "1000, -1", "1000, 1", "-1000, -1"})
  void clampsTheLogRatioAtTwenty(double logRatio, double advantage) {
    PpoObjective.PolicyToken token = objective.policyToken(logRatio, 0, advantage);
    assertEquals(Math.exp(Math.copySign(20, logRatio)), token.ratio());
    assertTrue(token.logRatioClamped());
    assertTrue(Double.isFinite(token.loss()));
    assertEquals(0, token.dLogProb());
    assertEquals(0.5 * logRatio * logRatio, token.approximateKl());
  }

  @Test
  void exactlyTwentyIsNotClamped() {
    PpoObjective.PolicyToken token = objective.policyToken(20, 0, -1);
    assertFalse(token.logRatioClamped());
    assertEquals(Math.exp(20), token.dLogProb());
  }

  @ParameterizedTest
  @CsvSource({
    // value, old value, return, loss, derivative, clipped
    "1.1, 1, 2,   0.405, -0.9, false",
    "1.5, 1, 2,   0.32,   0,   true",
    "1.5, 1, 1,   0.125,  0.5, false",
    "0.5, 1, 0,   0.32,   0,   true",
    "0.5, 1, 2,   1.125, -1.5, false",
    "3,   3, 3,   0,      0,   false",
  })
  void valueLossWorkedByHand(
      double value,
      double oldValue,
      double target,
      double loss,
      double derivative,
      boolean clipped) {
    PpoObjective.ValueToken token = objective.valueToken(value, oldValue, target);
    assertEquals(loss, token.loss(), 1e-14);
    assertEquals(derivative, token.dValue(), 1e-14);
    assertEquals(clipped, token.clipped());
  }

  @Test
  void valueDerivativeAgreesWithDifferences() {
    int clipped = 0;
    for (double value = -1.013; value < 1; value += 0.05) {
      for (double target : new double[] {-2, -0.3, 0.07, 0.9}) {
        PpoObjective.ValueToken token = objective.valueToken(value, 0, target);
        double numeric =
            CentralDifference.derivative(x -> objective.valueToken(x, 0, target).loss(), value);
        assertEquals(numeric, token.dValue(), 1e-8, value + " to " + target);
        clipped += token.clipped() ? 1 : 0;
      }
    }
    assertTrue(clipped > 20);
  }

  @Test
  void anInfiniteValueClipClipsNothing() {
    PpoObjective.ValueToken token =
        new PpoObjective(0.2, Double.POSITIVE_INFINITY).valueToken(9, 0, 10);
    assertEquals(-1, token.dValue());
    assertFalse(token.clipped());
  }

  @Test
  void policyBatchIsTheMeanOfItsTokens() {
    float[] logProbs = {-1, -2, -0.5f, -30};
    float[] old = {-1, -1.5f, -1, -1};
    double[] advantages = {0.5, -1, 2, 1};
    float[] dLogProbs = {9, 9, 9, 9};
    PolicyLoss loss = objective.policyLoss(dLogProbs, logProbs, old, ones(4), advantages, 10);
    double sum = 0;
    double ratios = 0;
    double kl = 0;
    for (int t = 0; t < 4; t++) {
      double difference = (double) logProbs[t] - old[t];
      double ratio = Math.exp(Math.max(-20, Math.min(20, difference)));
      double kept = Math.max(0.8, Math.min(1.2, ratio));
      double free = advantages[t] * ratio;
      boolean clipped = advantages[t] * kept < free;
      sum -= Math.min(free, advantages[t] * kept);
      ratios += ratio;
      kl += difference * difference / 2;
      double derivative = clipped || Math.abs(difference) > 20 ? 0 : -free / 10;
      assertEquals(derivative, dLogProbs[t], 1e-8);
    }
    assertEquals(sum / 10, loss.loss(), 1e-14);
    assertEquals(ratios / 10, loss.ratio(), 1e-14);
    assertEquals(kl / 10, loss.approximateKl(), 1e-12);
    assertEquals(0.2, loss.clipFraction(), 1e-15);
    assertEquals(1, loss.logRatiosClamped());
  }

  @Test
  void partsOfAMiniBatchAddUpToTheWhole() {
    float[] logProbs = {-1, -2, -0.5f, -3, -0.1f};
    float[] old = {-1.25f, -1.5f, -1, -3, -0.2f};
    double[] advantages = {0.5, -1, 2, 1, -0.3};
    float[] whole = new float[5];
    PolicyLoss expected = objective.policyLoss(whole, logProbs, old, ones(5), advantages, 5);
    PolicyLoss sum = PolicyLoss.ZERO;
    float[] joined = new float[5];
    int[][] parts = {{0, 1}, {1, 4}, {4, 5}};
    for (int[] part : parts) {
      float[] derivatives = new float[part[1] - part[0]];
      sum =
          sum.plus(
              objective.policyLoss(
                  derivatives,
                  Arrays.copyOfRange(logProbs, part[0], part[1]),
                  Arrays.copyOfRange(old, part[0], part[1]),
                  ones(part[1] - part[0]),
                  Arrays.copyOfRange(advantages, part[0], part[1]),
                  5));
      System.arraycopy(derivatives, 0, joined, part[0], derivatives.length);
    }
    assertArrayEquals(whole, joined);
    assertEquals(expected.loss(), sum.loss(), 1e-15);
    assertEquals(expected.ratio(), sum.ratio(), 1e-15);
    assertEquals(expected.approximateKl(), sum.approximateKl(), 1e-15);
    assertEquals(expected.clipFraction(), sum.clipFraction(), 1e-15);
  }

  @Test
  void valueBatchIsTheMeanOfItsTokens() {
    float[] dValues = new float[3];
    ValueLoss loss =
        objective.valueLoss(
            dValues,
            new float[] {1.5f, 1.5f, 0},
            new float[] {1, 1, 0},
            new double[] {2, 1, 0.1},
            4);
    // Losses 0.32 (clipped), 0.125 and 0.005; derivatives 0, 0.5 and −0.1.
    assertEquals(0.45 / 4, loss.loss(), 1e-14);
    assertEquals(0.25, loss.clipFraction());
    assertArrayEquals(new float[] {0, 0.125f, -0.025f}, dValues, 1e-8f);
    ValueLoss twice = loss.plus(ValueLoss.ZERO).plus(loss);
    assertEquals(0.225, twice.loss(), 1e-14);
    assertEquals(0.5, twice.clipFraction());
  }

  @Test
  void aMicroBatchWithoutTokensAddsNothing() {
    float[] none = {};
    double[] noDoubles = {};
    assertEquals(PolicyLoss.ZERO, objective.policyLoss(none, none, none, none, noDoubles, 7));
    assertEquals(ValueLoss.ZERO, objective.valueLoss(none, none, none, noDoubles, 7));
  }

  @ParameterizedTest
  @ValueSource(floats = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY})
  void refusesNumbersThatAreNotFiniteBeforeItWrites(float bad) {
    float[] good = {-1, -1};
    float[] broken = {-1, bad};
    double[] goodDoubles = {1, 1};
    double[] brokenDoubles = {1, bad};
    float[] out = {5, 5};
    refused(() -> objective.policyLoss(out, broken, good, good, goodDoubles, 2));
    refused(() -> objective.policyLoss(out, good, broken, good, goodDoubles, 2));
    refused(() -> objective.policyLoss(out, good, good, broken, goodDoubles, 2));
    refused(() -> objective.policyLoss(out, good, good, good, brokenDoubles, 2));
    refused(() -> objective.valueLoss(out, broken, good, goodDoubles, 2));
    refused(() -> objective.valueLoss(out, good, broken, goodDoubles, 2));
    refused(() -> objective.valueLoss(out, good, good, brokenDoubles, 2));
    assertArrayEquals(new float[] {5, 5}, out);
    assertThrows(IllegalArgumentException.class, () -> objective.policyToken(bad, -1, 1));
    assertThrows(IllegalArgumentException.class, () -> objective.valueToken(0, bad, 1));
  }

  private static void refused(Runnable call) {
    IllegalArgumentException refused = assertThrows(IllegalArgumentException.class, call::run);
    assertTrue(refused.getMessage().contains("element 1"), refused.getMessage());
  }

  @Test
  void refusesShapesAndSettingsThatDoNotFit() {
    float[] two = new float[2];
    double[] twoDoubles = new double[2];
    assertThrows(
        IllegalArgumentException.class,
        () -> objective.policyLoss(new float[1], two, two, two, twoDoubles, 2));
    assertThrows(
        IllegalArgumentException.class,
        () -> objective.policyLoss(two, two, new float[3], two, twoDoubles, 2));
    assertThrows(
        IllegalArgumentException.class, () -> objective.valueLoss(two, two, two, new double[1], 2));
    assertThrows(
        IllegalArgumentException.class,
        () -> objective.policyLoss(two, two, two, two, twoDoubles, 1));
    assertThrows(IllegalArgumentException.class, () -> new PpoObjective(0, 0.2));
    assertThrows(IllegalArgumentException.class, () -> new PpoObjective(1, 0.2));
    assertThrows(IllegalArgumentException.class, () -> new PpoObjective(0.2, 0));
    assertThrows(IllegalArgumentException.class, () -> new PpoObjective(0.2, Double.NaN));
  }

  private static float[] ones(int count) {
    float[] ones = new float[count];
    Arrays.fill(ones, 1);
    return ones;
  }

  @Test
  void aWeightMultipliesATokensLossDerivativeAndKlAndNothingElse() {
    float[] logProbs = {-1, -2};
    float[] old = {-1.1f, -2};
    double[] advantages = {1, -0.5};
    float[] plain = new float[2];
    float[] weighted = new float[2];
    PolicyLoss even = objective.policyLoss(plain, logProbs, old, ones(2), advantages, 2);
    PolicyLoss uneven =
        objective.policyLoss(weighted, logProbs, old, new float[] {0.25f, 2}, advantages, 2);
    assertArrayEquals(new float[] {0.25f * plain[0], 2 * plain[1]}, weighted, 1e-7f);
    // By hand: −e^0.1·1·¼ and 0.5·2, over 2 tokens.
    assertEquals((-0.25 * Math.exp(0.1) + 1) / 2, uneven.loss(), 1e-6);
    assertEquals(even.ratio(), uneven.ratio());
    assertEquals(0.25 * even.approximateKl(), uneven.approximateKl(), 1e-9);
  }
}
