package io.millrace.model.evaluation;

/**
 * How often one policy's response is preferred to another policy's response, over all prompts that
 * were compared so far. Counts of several looks add up.
 *
 * <p>The limits and tests hold at every look, however many there are and whenever they stop; see
 * {@link EProcess}.
 *
 * @param wins prompts with a better response
 * @param ties prompts with equally good responses
 * @param losses prompts with a worse response
 */
public record WinRate(int wins, int ties, int losses) {

  /** Nothing was compared. */
  public static final WinRate NONE = new WinRate(0, 0, 0);

  private static final int HALVINGS = 36;

  public WinRate {
    if (wins < 0 || ties < 0 || losses < 0) {
      throw new IllegalArgumentException(
          "a win rate has no counts below 0, not %d wins, %d ties and %d losses"
              .formatted(wins, ties, losses));
    }
  }

  /** The lowest and the highest rate that are not rejected. */
  public record Interval(double low, double high) {}

  public int comparisons() {
    return wins + ties + losses;
  }

  /** Whether nothing was compared. */
  public boolean isEmpty() {
    return comparisons() == 0;
  }

  /** (wins + ties / 2) / comparisons; NaN for none. */
  public double mean() {
    return (wins + ties / 2.0) / comparisons();
  }

  /** These comparisons and further ones. */
  public WinRate plus(WinRate more) {
    return new WinRate(wins + more.wins, ties + more.ties, losses + more.losses);
  }

  /** The same comparisons from the other policy's side. */
  public WinRate swapped() {
    return new WinRate(losses, ties, wins);
  }

  /**
   * Whether the true rate is above a rate, with a chance of at most {@code alpha} to say so at any
   * look although it is not.
   */
  public boolean isAbove(double rate, double alpha) {
    return EProcess.logWealth(this, rate) >= -Math.log(requireLevel(alpha));
  }

  /** Whether the true rate is below a rate; see {@link #isAbove}. */
  public boolean isBelow(double rate, double alpha) {
    return swapped().isAbove(1 - rate, alpha);
  }

  /**
   * The rates that are neither shown to be too low nor to be too high: each end is a one-sided
   * limit at level {@code alpha} that holds at all looks together.
   *
   * @param alpha in (0, 1), such as 0.025
   */
  public Interval interval(double alpha) {
    return new Interval(lowest(alpha), 1 - swapped().lowest(alpha));
  }

  /** The evidence for "above" falls with the rate, so its end is found by halving. */
  private double lowest(double alpha) {
    double low = 0;
    double high = 1;
    for (int i = 0; i < HALVINGS; i++) {
      double middle = (low + high) / 2;
      if (isAbove(middle, alpha)) {
        low = middle;
      } else {
        high = middle;
      }
    }
    return low;
  }

  private static double requireLevel(double alpha) {
    if (!(alpha > 0 && alpha < 1)) {
      throw new IllegalArgumentException("the level of a test must be in (0, 1), not " + alpha);
    }
    return alpha;
  }
}
