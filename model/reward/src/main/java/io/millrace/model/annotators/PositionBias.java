package io.millrace.model.annotators;

/**
 * Whether an annotator prefers the response that is shown first. It compares how often the first
 * was chosen with how often somebody of the same reliability would choose it, so that it holds
 * where the order is not random.
 */
public final class PositionBias {

  private State sums = new State(0, 0, 0, 0);

  /**
   * The sums.
   *
   * @param chosen judgments that chose the first response
   * @param expected sum of the probabilities of choosing the first
   * @param variance sum of the variances of these choices
   */
  public record State(long judgments, long chosen, double expected, double variance) {}

  /**
   * Counts a judgment.
   *
   * @param first whether the first response was chosen
   * @param expected probability that somebody of the same reliability chooses it, 0 to 1
   */
  public void add(boolean first, double expected) {
    sums =
        new State(
            sums.judgments() + 1,
            sums.chosen() + (first ? 1 : 0),
            sums.expected() + expected,
            sums.variance() + expected * (1 - expected));
  }

  public long judgments() {
    return sums.judgments();
  }

  /**
   * By how much the first response is chosen more often than expected, −1 to 1; NaN if there are
   * none.
   */
  public double bias() {
    return (sums.chosen() - sums.expected()) / sums.judgments();
  }

  /** The standard error of {@link #bias} for an annotator without one; NaN if there are none. */
  public double standardError() {
    return Math.sqrt(sums.variance()) / sums.judgments();
  }

  public State state() {
    return sums;
  }

  /** Continues from a state. */
  public void restore(State state) {
    sums = state;
  }
}
