package io.millrace.model.rlhf;

/** Shift to mean 0 and scale to variance 1. */
public final class Whitening {

  /** Below this deviation values count as equal: what is left is rounding. */
  private static final double EPSILON = 1e-8;

  private Whitening() {}

  /**
   * (x − mean) / √variance with the biased variance, in double. Equal values, and a single one,
   * become zeros.
   *
   * @throws IllegalArgumentException for a value that is not finite, with its index
   */
  public static double[] whiten(double[] values) {
    double mean = 0;
    for (int i = 0; i < values.length; i++) {
      if (!Double.isFinite(values[i])) {
        throw new IllegalArgumentException("cannot whiten " + values[i] + " at " + i);
      }
      mean += values[i] / values.length;
    }
    double variance = 0;
    for (double value : values) {
      variance += (value - mean) * (value - mean) / values.length;
    }
    double deviation = Math.sqrt(variance);
    double[] whitened = new double[values.length];
    if (deviation > EPSILON * Math.max(1, Math.abs(mean))) {
      for (int i = 0; i < values.length; i++) {
        whitened[i] = (values[i] - mean) / deviation;
      }
    }
    return whitened;
  }
}
