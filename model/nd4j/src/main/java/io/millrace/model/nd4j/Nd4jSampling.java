package io.millrace.model.nd4j;

import io.millrace.model.tensor.Draws;
import java.util.Arrays;
import java.util.Comparator;

/** Draws tokens on the host, in float64. */
final class Nd4jSampling {

  private final Draws draws;
  private final double[] probabilities;
  private double logProb;

  Nd4jSampling(Draws draws, int vocab) {
    this.draws = draws;
    this.probabilities = new double[vocab];
  }

  /**
   * Draws a token.
   *
   * @param row index of the row in the settings
   * @param logits {@code [vocab]}
   */
  int draw(int row, float[] logits) {
    double temperature = draws.temperatures()[row];
    int best = 0;
    for (int i = 1; i < logits.length; i++) {
      if (logits[i] > logits[best]) {
        best = i;
      }
    }
    double scale = temperature == 0 ? 1 : 1 / temperature;
    double sum = 0;
    for (int i = 0; i < logits.length; i++) {
      probabilities[i] = Math.exp((logits[i] - logits[best]) * scale);
      sum += probabilities[i];
    }
    int token = temperature == 0 ? best : invert(row, sum);
    logProb = (logits[token] - logits[best]) * scale - Math.log(sum);
    return token;
  }

  /** Log-probability of the last token drawn, in nats. */
  double logProb() {
    return logProb;
  }

  private int invert(int row, double sum) {
    double kept = draws.topPs()[row] == 1 ? sum : keepNucleus(draws.topPs()[row] * sum);
    double target = draws.uniforms()[row] * kept;
    int last = 0;
    for (int i = 0; i < probabilities.length; i++) {
      if (probabilities[i] > 0) {
        last = i;
        target -= probabilities[i];
        if (target < 0) {
          return i;
        }
      }
    }
    // Rounding can leave a small rest of the target after the last token.
    return last;
  }

  /** Sets the probabilities outside the nucleus to 0; returns the mass of the nucleus. */
  private double keepNucleus(double mass) {
    Integer[] order = new Integer[probabilities.length];
    Arrays.setAll(order, i -> i);
    // The sort is stable, so equal tokens stay in the order of their ids.
    Arrays.sort(order, Comparator.comparingDouble((Integer i) -> -probabilities[i]));
    double kept = 0;
    for (int i : order) {
      if (kept < mass) {
        kept += probabilities[i];
      } else {
        probabilities[i] = 0;
      }
    }
    return kept;
  }
}
