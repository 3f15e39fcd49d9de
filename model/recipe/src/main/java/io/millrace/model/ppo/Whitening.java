package io.millrace.model.ppo;

import io.millrace.model.training.Checks;

/**
 * WHITEN of Llama 2 (arXiv 2307.09288, section 3.2.3) for the rewards of a PPO batch: {@code (x −
 * mean) / √(variance + epsilon)}, with the biased variance (divided by n). The advantages of the
 * batch's response tokens are whitened too, as in Huang et al. (arXiv 2403.17031).
 *
 * <p>Equal values, and a single one, become exactly 0.
 *
 * @param epsilon added to the variance, above 0
 */
public record Whitening(double epsilon) {

  public static final double DEFAULT_EPSILON = 1e-8;

  public Whitening {
    Checks.that(epsilon > 0 && epsilon < 1, "epsilon", epsilon, "in (0, 1)");
  }

  public static Whitening defaults() {
    return new Whitening(DEFAULT_EPSILON);
  }

  /**
   * All values whitened, in a new array; none for none.
   *
   * @throws IllegalArgumentException if a value is not finite
   */
  public double[] whiten(double[] values) {
    double[] whitened = new double[values.length];
    if (values.length == 0) {
      return whitened;
    }
    // Taken relative to one of the values, the mean of equal values is exact, whatever they are.
    double origin = Checks.finite("values to whiten", 0, values[0]);
    double sum = 0;
    for (int i = 0; i < values.length; i++) {
      sum += Checks.finite("values to whiten", i, values[i]) - origin;
    }
    double mean = sum / values.length;
    double squares = 0;
    for (int i = 0; i < values.length; i++) {
      whitened[i] = values[i] - origin - mean;
      squares += whitened[i] * whitened[i];
    }
    double deviation = Math.sqrt(squares / values.length + epsilon);
    Checks.finite("standard deviation of the values to whiten", deviation);
    for (int i = 0; i < values.length; i++) {
      whitened[i] /= deviation;
    }
    return whitened;
  }
}
