package io.millrace.model.evaluation;

/**
 * Shares the chance of a wrong promotion or withdrawal out among all versions that ever come, as
 * alpha-spending does (Foster and Stine, α-investing, JRSS B 70, 2008, without the income): the
 * i-th test gets (α/2) / (ζ(1.3)·i^1.3). The sum over all tests is α/2, one half for promotions and
 * one for withdrawals. By the union bound the chance of any error is at most α, whatever the tests
 * have in common. The exponent is small, so that the level falls slowly: the 60th test has 1/205 of
 * the first test's level, which costs 5.3 nats of evidence.
 *
 * @param alpha chance of any wrong promotion or withdrawal, in (0, 1)
 */
public record ErrorBudget(double alpha) {

  private static final double EXPONENT = 1.3;

  /** ζ(1.3), the sum of i^−1.3 over all i. */
  private static final double SUM = 3.9319492118095;

  public ErrorBudget {
    if (!(alpha > 0 && alpha < 1)) {
      throw new IllegalArgumentException("alpha must be in (0, 1), not " + alpha);
    }
  }

  /**
   * The level of a test whether a version may be served, or of a test whether it must not be.
   *
   * @param number of the test, from 1; promotions and withdrawals count apart
   */
  public double level(long number) {
    if (number < 1) {
      throw new IllegalArgumentException("tests are numbered from 1, not " + number);
    }
    return alpha / 2 / SUM / Math.pow(number, EXPONENT);
  }
}
