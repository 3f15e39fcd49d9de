package io.millrace.model.evaluation;

/**
 * How often one policy's response is preferred to another policy's response.
 *
 * @param wins prompts with a better response
 * @param ties prompts with equally good responses
 * @param losses prompts with a worse response
 */
public record WinRate(int wins, int ties, int losses) {

  public WinRate {
    if (wins < 0 || ties < 0 || losses < 0 || wins + ties + losses == 0) {
      throw new IllegalArgumentException(
          "a win rate needs at least one comparison, not %d wins, %d ties and %d losses"
              .formatted(wins, ties, losses));
    }
  }

  /** A confidence interval of the true rate. */
  public record Interval(double low, double high) {}

  public int comparisons() {
    return wins + ties + losses;
  }

  /** (wins + ties / 2) / comparisons. */
  public double mean() {
    return (wins + ties / 2.0) / comparisons();
  }

  /**
   * Wilson's score interval (Probable Inference, the Law of Succession, and Statistical Inference,
   * Journal of the American Statistical Association 22, 1927) of {@link #mean} p over n
   * comparisons: (p + z²/2n ± z·√(p(1−p)/n + z²/4n²)) / (1 + z²/n). Ties have less variance than
   * wins and losses, so with ties the interval is conservative.
   *
   * @param confidence in (0, 1), such as 0.95
   */
  public Interval interval(double confidence) {
    if (!(confidence > 0 && confidence < 1)) {
      throw new IllegalArgumentException("confidence must be in (0, 1), not " + confidence);
    }
    double z = NormalDistribution.twoSided(confidence);
    double n = comparisons();
    double p = mean();
    double square = z * z / n;
    double centre = (p + square / 2) / (1 + square);
    double reach = z * Math.sqrt(p * (1 - p) / n + square / (4 * n)) / (1 + square);
    return new Interval(Math.max(0, centre - reach), Math.min(1, centre + reach));
  }
}
