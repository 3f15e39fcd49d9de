package io.millrace.model.evaluation;

/**
 * The mean of a sample and its standard error.
 *
 * @param standardError s/√n with the sample standard deviation s (n − 1 degrees of freedom); 0 for
 *     one value
 */
public record Estimate(double mean, double standardError) {

  /**
   * The estimate from a sample.
   *
   * @param values at least one
   * @throws IllegalArgumentException if there are none
   */
  public static Estimate of(float[] values) {
    if (values.length == 0) {
      throw new IllegalArgumentException("the mean needs at least one value");
    }
    double sum = 0;
    for (float value : values) {
      sum += value;
    }
    double mean = sum / values.length;
    double squares = 0;
    for (float value : values) {
      squares += (value - mean) * (value - mean);
    }
    return new Estimate(
        mean, values.length == 1 ? 0 : Math.sqrt(squares / (values.length - 1.0) / values.length));
  }
}
