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
    return whiten(values, null);
  }

  /**
   * The values where {@code mask} is true whitened among themselves, 0 elsewhere, in a new array.
   * What is masked out is never read, so it may be anything.
   *
   * @throws IllegalArgumentException if a value in the mask is not finite, or lengths differ
   */
  public double[] whitenMasked(double[] values, boolean[] mask) {
    Checks.sameLength("whitening mask", mask.length, values.length);
    return whiten(values, mask);
  }

  private double[] whiten(double[] values, boolean[] mask) {
    double[] whitened = new double[values.length];
    int first = 0;
    while (first < values.length && !(mask == null || mask[first])) {
      first++;
    }
    if (first == values.length) {
      return whitened;
    }
    // Taken relative to one of the values, the mean of equal values is exact, whatever they are.
    double origin = Checks.finite("values to whiten", first, values[first]);
    double sum = 0;
    int count = 0;
    for (int i = first; i < values.length; i++) {
      if (mask == null || mask[i]) {
        sum += Checks.finite("values to whiten", i, values[i]) - origin;
        count++;
      }
    }
    double mean = sum / count;
    double squares = 0;
    for (int i = first; i < values.length; i++) {
      if (mask == null || mask[i]) {
        whitened[i] = values[i] - origin - mean;
        squares += whitened[i] * whitened[i];
      }
    }
    double deviation = Math.sqrt(squares / count + epsilon);
    Checks.finite("standard deviation of the values to whiten", deviation);
    for (int i = first; i < values.length; i++) {
      whitened[i] /= deviation;
    }
    return whitened;
  }
}
