package io.millrace.model.ppo;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.model.contract.CentralDifference;
import io.millrace.model.ppo.PpoObjective.ClipLevel;
import io.millrace.model.ppo.PpoObjective.LossMean;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Asymmetric clip, dual clip, clip by response, and means over responses. */
class ClipOptionsTest {

  private static final double NONE = Double.POSITIVE_INFINITY;

  private static PpoObjective objective(
      double clipHigh, double dualClip, ClipLevel level, LossMean mean) {
    return new PpoObjective(0.2, clipHigh, dualClip, level, mean, 0.2);
  }

  private static PpoObjective ofTokens(double clipHigh, double dualClip) {
    return objective(clipHigh, dualClip, ClipLevel.TOKEN, LossMean.TOKENS);
  }

  @ParameterizedTest
  @CsvSource({
    // ratio, advantage, loss, derivative, clipped
    "1.25,  2, -2.5, -2.5, false", // above 1.2, below 1.28
    "1.5,   2, -2.56, 0,   true",
    "0.7,  -2,  1.6,  0,   true", // below 0.8: clip, not clip-high
    "0.7,   2, -1.4, -1.4, false",
    "2.9,  -2,  5.8,  5.8, false",
    "4,    -2,  6,    0,   true", // above the dual clip
    "4,     2, -2.56, 0,   true",
  })
  void cornersOfAnAsymmetricDualClip(
      double ratio, double advantage, double loss, double derivative, boolean clipped) {
    PpoObjective.PolicyToken token =
        ofTokens(0.28, 3).policyToken(Math.log(ratio) - 3, -3, advantage);
    assertEquals(loss, token.loss(), 1e-14);
    assertEquals(derivative, token.dLogProb(), 1e-13);
    assertEquals(clipped, token.clipped());
  }

  @Test
  void derivativesOfTokensAgreeWithDifferences() {
    PpoObjective objective = ofTokens(0.5, 2);
    int dual = 0;
    for (double difference = -1.03; difference < 1.43; difference += 0.05) {
      for (double advantage : new double[] {-1.7, -0.2, 0, 0.4, 2.3}) {
        PpoObjective.PolicyToken token = objective.policyToken(-2 + difference, -2, advantage);
        double numeric =
            CentralDifference.derivative(
                x -> objective.policyToken(x, -2, advantage).loss(), -2 + difference);
        assertEquals(numeric, token.dLogProb(), 1e-8, "log-ratio " + difference);
        dual += token.clipped() && advantage < 0 && difference > 0 ? 1 : 0;
      }
    }
    assertTrue(dual > 20);
  }

  /** Three responses, whose tokens have one advantage each: random, and of every sign. */
  private static final int[] LENGTHS = {4, 1, 3};

  private static final double[] ADVANTAGES = {1.5, 1.5, 1.5, 1.5, -0.7, -2, -2, -2};

  private static float[] random(long seed, double size) {
    SplittableRandom random = new SplittableRandom(seed);
    float[] values = new float[8];
    for (int t = 0; t < values.length; t++) {
      values[t] = (float) (-1.5 + size * random.nextGaussian());
    }
    return values;
  }

  private static PolicyLoss loss(
      PpoObjective objective, float[] out, float[] logProbs, float[] old, float[] weights) {
    return objective.policyLoss(
        out, logProbs, old, weights, ADVANTAGES, objective.part(LENGTHS, 8, 3));
  }

  private static float[] ones() {
    float[] ones = new float[8];
    Arrays.fill(ones, 1);
    return ones;
  }

  /**
   * The loss as a plain loop in float64, which has no function in common with the code: mean over
   * responses of the clipped, length-normalised ratio (GSPO), or over tokens.
   */
  private static double oracle(PpoObjective o, double[] logProbs, float[] old) {
    double sum = 0;
    int at = 0;
    for (int length : LENGTHS) {
      double mean = 0;
      for (int t = at; t < at + length; t++) {
        mean += (logProbs[t] - old[t]) / length;
      }
      double ofResponse = 0;
      for (int t = at; t < at + length; t++) {
        double s = Math.exp(o.level() == ClipLevel.SEQUENCE ? mean : logProbs[t] - old[t]);
        double kept = Math.max(1 - o.clip(), Math.min(1 + o.clipHigh(), s));
        double gain = Math.min(s * ADVANTAGES[t], kept * ADVANTAGES[t]);
        if (ADVANTAGES[t] < 0) {
          gain = Math.max(gain, o.dualClip() * ADVANTAGES[t]);
        }
        ofResponse -= gain;
      }
      sum += o.mean() == LossMean.RESPONSES ? ofResponse / length / 3 : ofResponse / 8;
      at += length;
    }
    return sum;
  }

  @ParameterizedTest
  @CsvSource({
    "TOKEN,TOKENS,Infinity",
    "TOKEN,RESPONSES,1.3",
    "SEQUENCE,TOKENS,1.2",
    "SEQUENCE,RESPONSES,Infinity",
    "SEQUENCE,RESPONSES,1.1"
  })
  void lossesAndDerivativesAreThoseOfTheFormula(ClipLevel level, LossMean mean, double dualClip) {
    PpoObjective objective = objective(0.28, dualClip, level, mean);
    int clipped = 0;
    int free = 0;
    for (int seed = 0; seed < 40; seed++) {
      float[] old = random(seed, 0.5);
      float[] logProbs = random(1000 + seed, 0.5);
      float[] derivatives = new float[8];
      PolicyLoss loss = loss(objective, derivatives, logProbs, old, ones());
      double[] exact = new double[8];
      Arrays.setAll(exact, t -> logProbs[t]);
      assertEquals(oracle(objective, exact, old), loss.loss(), 1e-6);
      for (int t = 0; t < 8; t++) {
        int at = t;
        double numeric =
            CentralDifference.derivative(
                x -> {
                  double[] moved = exact.clone();
                  moved[at] = x;
                  return oracle(objective, moved, old);
                },
                exact[t]);
        assertEquals(numeric, derivatives[t], 1e-6, "seed " + seed + ", token " + t);
        clipped += numeric == 0 ? 1 : 0;
        free += numeric == 0 ? 0 : 1;
      }
    }
    assertTrue(clipped > 50 && free > 50, clipped + " clipped, " + free + " free");
  }

  /**
   * With an advantage for each token, the derivative at the sequence level is that of GSPO-token:
   * the ratio's size is the response's, its slope the token's own.
   */
  @Test
  void tokensKeepTheirOwnAdvantageAtTheSequenceLevel() {
    PpoObjective objective = objective(0.28, NONE, ClipLevel.SEQUENCE, LossMean.RESPONSES);
    float[] old = random(1, 0.05);
    float[] logProbs = random(2, 0.05);
    double[] advantages = {1, -2, 0.5, 3, 1, -1, 2, 0.25};
    float[] weights = {1, 0.5f, 2, 1, 1, 1, 3, 1};
    float[] derivatives = new float[8];
    objective.policyLoss(
        derivatives, logProbs, old, weights, advantages, objective.part(LENGTHS, 8, 3));
    int at = 0;
    for (int length : LENGTHS) {
      double mean = 0;
      for (int t = at; t < at + length; t++) {
        mean += ((double) logProbs[t] - old[t]) / length;
      }
      double s = Math.exp(mean);
      for (int t = at; t < at + length; t++) {
        double l = logProbs[t];
        double advantage = advantages[t];
        // The stop-gradient of the surrogate: s·π(x)/π(l), where only x moves.
        double numeric = CentralDifference.derivative(x -> -s * Math.exp(x - l) * advantage, l);
        assertEquals(weights[t] * numeric / length / 3, derivatives[t], 1e-6);
      }
      at += length;
    }
  }

  @Test
  void partsOfAMiniBatchAddUp() {
    PpoObjective objective = objective(0.28, 3, ClipLevel.SEQUENCE, LossMean.RESPONSES);
    float[] old = random(3, 0.3);
    float[] logProbs = random(4, 0.3);
    float[] whole = new float[8];
    PolicyLoss expected = loss(objective, whole, logProbs, old, ones());
    PolicyLoss sum = PolicyLoss.ZERO;
    float[] joined = new float[8];
    int at = 0;
    for (int length : LENGTHS) {
      float[] part = new float[length];
      sum =
          sum.plus(
              objective.policyLoss(
                  part,
                  Arrays.copyOfRange(logProbs, at, at + length),
                  Arrays.copyOfRange(old, at, at + length),
                  Arrays.copyOf(ones(), length),
                  Arrays.copyOfRange(ADVANTAGES, at, at + length),
                  objective.part(new int[] {length}, 8, 3)));
      System.arraycopy(part, 0, joined, at, length);
      at += length;
    }
    assertArrayEquals(whole, joined, 0);
    assertEquals(expected.loss(), sum.loss(), 1e-14);
    assertEquals(expected.ratio(), sum.ratio(), 1e-14);
  }

  /** The KL term counts tokens as the policy's loss does. */
  @Test
  void theKlTermIsAMeanOverResponsesToo() {
    KlPenalty penalty = new KlPenalty(KlEstimator.K3, KlPlacement.LOSS, 0);
    PpoObjective objective = objective(0.2, NONE, ClipLevel.TOKEN, LossMean.RESPONSES);
    float[] logProbs = random(5, 0.4);
    float[] reference = random(6, 0.4);
    float[] derivatives = new float[8];
    double loss =
        penalty.loss(derivatives, logProbs, reference, ones(), 0.3, objective.part(LENGTHS, 8, 3));
    double expected = 0;
    int at = 0;
    for (int length : LENGTHS) {
      for (int t = at; t < at + length; t++) {
        double r = Math.exp((double) reference[t] - logProbs[t]);
        expected += 0.3 * (r - 1 - Math.log(r)) / length / 3;
        assertEquals(0.3 * (1 - r) / length / 3, derivatives[t], 1e-6);
      }
      at += length;
    }
    assertEquals(expected, loss, 1e-9);
  }

  @Test
  void refusesWhatIsNoClip() {
    for (double bad : new double[] {0, -1, Double.NaN, NONE}) {
      assertThrows(IllegalArgumentException.class, () -> ofTokens(bad, 3));
    }
    for (double bad : new double[] {1, 0, Double.NaN}) {
      assertThrows(IllegalArgumentException.class, () -> ofTokens(0.2, bad));
    }
    PpoObjective objective = ofTokens(0.2, 3);
    float[] two = new float[2];
    PpoObjective.Part one = objective.part(new int[] {1}, 8, 3);
    assertThrows(
        IllegalArgumentException.class,
        () -> objective.policyLoss(new float[2], two, two, two, new double[2], one));
  }
}
