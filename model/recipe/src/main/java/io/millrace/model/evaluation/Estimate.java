package io.millrace.model.evaluation;

/**
 * A mean and how far it may be off.
 *
 * @param mean of the sample
 * @param standardError s/√n with the sample's own s (n − 1 degrees of freedom); 0 for one value
 */
public record Estimate(double mean, double standardError) {

  /**
   * The estimate from a sample.
   *
   * @param values one at least
   */
  public static Estimate of(float[] values) {
    if (values.length == 0) {
      throw new IllegalArgumentException("no values to take the mean of");
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
