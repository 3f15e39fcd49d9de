package io.millrace.model.nd4j;

import io.millrace.model.tensor.Draws;
import java.util.Arrays;
import java.util.Comparator;

/** Draws tokens on the host, in double. */
final class Nd4jSampling {

  private final Draws draws;
  private final double[] probabilities;
  private double logProb;

  Nd4jSampling(Draws draws, int vocab) {
    this.draws = draws;
    this.probabilities = new double[vocab];
  }

  /** The token drawn from a row's logits [vocab]. */
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

  /** log p of the token last drawn. */
  double logProb() {
    return logProb;
  }

  private int invert(int row, double sum) {
    double kept = draws.topPs()[row] == 1 ? sum : keepLikeliest(draws.topPs()[row] * sum);
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
    // Rounding left a little of the target over.
    return last;
  }

  /** Zeroes all but the likeliest tokens that hold the mass; returns what they hold. */
  private double keepLikeliest(double mass) {
    Integer[] order = new Integer[probabilities.length];
    Arrays.setAll(order, i -> i);
    // A stable sort: equals stay by index.
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
