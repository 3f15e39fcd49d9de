package io.millrace.model.preference;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.model.preference.PreferenceSettings.Loss;
import java.util.function.DoubleUnaryOperator;
import org.junit.jupiter.api.Test;

class PreferenceLossTest {

  @Test
  void aPolicyThatIsTheReferenceLosesLnTwoByDpo() {
    PairLoss loss = PairLoss.dpo(0, 0.1, 0, 0);
    assertEquals(Math.log(2), loss.loss(), 1e-15);
    assertEquals(-0.05, loss.slope(), 1e-15);
  }

  @Test
  void workedByHand() {
    // β·h − m = 0.5·4 − 1 = 1: −log σ(1) = ln(1 + 1/e), and −0.5·σ(−1).
    assertEquals(Math.log1p(Math.exp(-1)), PairLoss.dpo(4, 0.5, 1, 0).loss(), 1e-15);
    assertEquals(-0.5 / (1 + Math.E), PairLoss.dpo(4, 0.5, 1, 0).slope(), 1e-15);
    // The target of h is 1/(2·0.25) = 2: (5 − 2)², and 2·(5 − 2).
    assertEquals(new PairLoss(9, 6), PairLoss.ipo(5, 0.25, 0));
    // With a margin of 0.5 it is (0.5 + 0.5)/0.25 = 4.
    assertEquals(new PairLoss(1, 2), PairLoss.ipo(5, 0.25, 0.5));
    // λ − λ·σ(0) where the log-ratio is z_0.
    assertEquals(new LabelLoss(1, -0.25), LabelLoss.kto(3, 3, 0.5, true, 2));
    assertEquals(new LabelLoss(1, 0.25), LabelLoss.kto(3, 3, 0.5, false, 2));
  }

  /** A central difference. */
  private static double derivative(DoubleUnaryOperator loss, double at) {
    double step = 1e-5;
    return (loss.applyAsDouble(at + step) - loss.applyAsDouble(at - step)) / (2 * step);
  }

  @Test
  void derivativesAgreeWithDifferences() {
    for (double h = -6; h <= 6; h += 0.7) {
      for (double beta : new double[] {0.1, 0.5, 2}) {
        for (double margin : new double[] {0, 0.5, 3}) {
          for (double smoothing : new double[] {0, 0.2}) {
            assertEquals(
                derivative(x -> PairLoss.dpo(x, beta, margin, smoothing).loss(), h),
                PairLoss.dpo(h, beta, margin, smoothing).slope(),
                1e-8);
          }
          assertEquals(
              derivative(x -> PairLoss.ipo(x, beta, margin).loss(), h),
              PairLoss.ipo(h, beta, margin).slope(),
              1e-6);
          for (boolean desirable : new boolean[] {true, false}) {
            assertEquals(
                derivative(x -> LabelLoss.kto(x, margin, beta, desirable, 1.3).loss(), h),
                LabelLoss.kto(h, margin, beta, desirable, 1.3).slope(),
                1e-8);
          }
        }
      }
    }
  }

  @Test
  void largeDifferencesDoNotOverflow() {
    assertEquals(2000, PairLoss.dpo(-1000, 2, 0, 0).loss());
    assertEquals(-2, PairLoss.dpo(-1000, 2, 0, 0).slope());
    assertEquals(0, PairLoss.dpo(1000, 2, 0, 0).loss());
    assertEquals(1, LabelLoss.kto(1e6, 0, 1, false, 1).loss());
    assertEquals(0, LabelLoss.kto(1e6, 0, 1, true, 1).loss());
    assertEquals(0, LabelLoss.kto(1e6, 0, 1, true, 1).slope(), 0.0);
  }

  /** Smoothing by ε makes the best difference finite: where σ(βh − m) is 1 − ε. */
  @Test
  void smoothedLossIsLeastAtAFiniteDifference() {
    double best = Math.log(0.9 / 0.1) / 0.5;
    assertEquals(0, PairLoss.dpo(best, 0.5, 0, 0.1).slope(), 1e-15);
    assertTrue(PairLoss.dpo(best + 1, 0.5, 0, 0.1).slope() > 0);
    assertTrue(PairLoss.dpo(best - 1, 0.5, 0, 0.1).slope() < 0);
  }

  @Test
  void theReferencePointIsTheMeanAndNotBelowZero() {
    assertEquals(2, LabelLoss.referencePoint(new double[] {5, -1}), 1e-15);
    assertEquals(0, LabelLoss.referencePoint(new double[] {1, -3}));
    assertEquals(0, LabelLoss.referencePoint(new double[0]));
  }

  @Test
  void badArgumentsAreRefusedByName() {
    refused("beta", () -> PairLoss.dpo(0, 0, 0, 0));
    refused("margin", () -> PairLoss.ipo(0, 1, -1));
    refused("label smoothing", () -> PairLoss.dpo(0, 1, 0, 0.5));
    refused("difference", () -> PairLoss.dpo(Double.NaN, 1, 0, 0));
    refused("reference point", () -> LabelLoss.kto(0, -1, 1, true, 1));
    refused("mismatched", () -> LabelLoss.referencePoint(new double[] {Double.NaN}));
    refused("label smoothing", () -> new PreferenceSettings(Loss.IPO, 0.1, 0.1, 1, 1));
    refused("undesirable weight", () -> new PreferenceSettings(Loss.KTO, 0.1, 0, 1, -1));
    refused("promptTokens", () -> new Response(new int[] {1, 2}, 2));
  }

  private static void refused(String name, Runnable call) {
    IllegalArgumentException e = assertThrows(IllegalArgumentException.class, call::run);
    assertTrue(e.getMessage().contains(name), e.getMessage());
  }
}
