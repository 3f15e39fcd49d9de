package io.millrace.model.llama;

import java.util.Arrays;
import java.util.random.RandomGenerator;

/** Draws one token from logits. Not thread-safe: it keeps its work space. */
final class TokenSampler {

  private final SamplingOptions options;
  private final double[] probabilities;
  private final Integer[] order;
  private float logProb;

  TokenSampler(SamplingOptions options, int vocabSize) {
    this.options = options;
    this.probabilities = new double[vocabSize];
    this.order = new Integer[vocabSize];
  }

  /**
   * The token drawn from softmax(logits / temperature), logits {@code [vocab]} from {@code offset}
   * on.
   */
  int sample(float[] logits, int offset, RandomGenerator random) {
    int vocab = probabilities.length;
    int best = 0;
    for (int i = 1; i < vocab; i++) {
      if (logits[offset + i] > logits[offset + best]) {
        best = i;
      }
    }
    // Greedy decoding reports log-probs at temperature 1, where they mean something.
    double temperature = options.temperature() == 0 ? 1 : options.temperature();
    double max = logits[offset + best];
    double sum = 0;
    for (int i = 0; i < vocab; i++) {
      probabilities[i] = Math.exp((logits[offset + i] - max) / temperature);
      sum += probabilities[i];
    }
    int token = options.temperature() == 0 ? best : draw(sum, random);
    logProb = (float) ((logits[offset + token] - max) / temperature - Math.log(sum));
    return token;
  }

  /** log p of the token last drawn, under the whole distribution at the sampling temperature. */
  float logProb() {
    return logProb;
  }

  private int draw(double sum, RandomGenerator random) {
    if (options.topP() == 1) {
      return invert(random.nextDouble() * sum);
    }
    for (int i = 0; i < order.length; i++) {
      order[i] = i;
    }
    // Ties by index, so that the draw depends on nothing else.
    Arrays.sort(
        order,
        (a, b) -> {
          int byProbability = Double.compare(probabilities[b], probabilities[a]);
          return byProbability != 0 ? byProbability : Integer.compare(a, b);
        });
    double kept = 0;
    int size = 0;
    while (size < order.length && kept < options.topP() * sum) {
      kept += probabilities[order[size++]];
    }
    double target = random.nextDouble() * kept;
    for (int i = 0; i < size - 1; i++) {
      target -= probabilities[order[i]];
      if (target < 0) {
        return order[i];
      }
    }
    return order[size - 1];
  }

  private int invert(double target) {
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
}
