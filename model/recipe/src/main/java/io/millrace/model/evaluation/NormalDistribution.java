package io.millrace.model.evaluation;

/** The standard normal distribution. */
final class NormalDistribution {

  /** Beyond this many standard deviations Φ is 0 or 1 in double precision. */
  private static final double FAR = 8;

  private static final int HALVINGS = 80;

  private NormalDistribution() {}

  /**
   * Φ(x), by the series of Marsaglia (Evaluating the Normal Distribution, Journal of Statistical
   * Software 11(4), 2004): ½ + φ(x)·(x + x³/3 + x⁵/(3·5) + …).
   */
  static double cumulative(double x) {
    if (x < -FAR || x > FAR) {
      return x < 0 ? 0 : 1;
    }
    double term = x;
    double sum = x;
    double before = 0;
    for (int i = 3; sum != before; i += 2) {
      before = sum;
      term *= x * x / i;
      sum += term;
    }
    return 0.5 + sum * Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI);
  }

  /**
   * The z with P(−z &lt; Z &lt; z) = share: 1.96 for 0.95.
   *
   * @param share in (0, 1)
   */
  static double twoSided(double share) {
    double low = 0;
    double high = FAR;
    for (int i = 0; i < HALVINGS; i++) {
      double middle = (low + high) / 2;
      if (2 * cumulative(middle) - 1 < share) {
        low = middle;
      } else {
        high = middle;
      }
    }
    return (low + high) / 2;
  }
}
