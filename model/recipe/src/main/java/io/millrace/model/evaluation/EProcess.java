package io.millrace.model.evaluation;

/**
 * A test by betting (Waudby-Smith and Ramdas, Estimating means of bounded random variables by
 * betting, JRSS B 86, 2024, arXiv 2010.09686, sections 3 and 4). H_0: each comparison's result X in
 * [0, 1] has a mean of at most m, given all earlier ones. A player who stakes the share θ of the
 * wealth on every comparison owns
 *
 * <p>K_n(θ) = ∏ (1 − θ + θ·X_i/m)
 *
 * <p>which is a supermartingale under H_0, and so is the mean of K_n over players with fixed θ. By
 * Ville's inequality its chance ever to reach 1/α is at most α. So the test holds at every look,
 * and comparisons of later looks may be added after a look at the earlier ones.
 *
 * <p>Results are wins (1), ties (½) and losses (0), so K_n depends on their counts alone.
 */
final class EProcess {

  /** Players, with θ = 0.01, 0.03, …, 0.99: the right θ is not known in advance. */
  private static final int PLAYERS = 50;

  private static final double[] STAKES = new double[PLAYERS];

  /** What a player keeps after a loss, as a logarithm. */
  private static final double[] KEPT = new double[PLAYERS];

  static {
    for (int i = 0; i < PLAYERS; i++) {
      STAKES[i] = (i + 0.5) / PLAYERS;
      KEPT[i] = Math.log(1 - STAKES[i]);
    }
  }

  private EProcess() {}

  /**
   * The logarithm of the mean wealth of all players.
   *
   * @param mean m; below 0 infinite, since no result has a negative mean; at 0 infinite after a
   *     result above 0
   */
  static double logWealth(WinRate counts, double mean) {
    if (counts.isEmpty()) {
      return 0;
    }
    if (mean < 0 || (mean == 0 && counts.wins() + counts.ties() > 0)) {
      return Double.POSITIVE_INFINITY;
    }
    if (mean == 0) {
      return 0;
    }
    double[] wealth = new double[PLAYERS];
    double most = Double.NEGATIVE_INFINITY;
    for (int i = 0; i < PLAYERS; i++) {
      wealth[i] =
          counts.wins() * Math.log(1 + STAKES[i] * (1 / mean - 1))
              + counts.ties() * Math.log(1 + STAKES[i] * (0.5 / mean - 1))
              + counts.losses() * KEPT[i];
      most = Math.max(most, wealth[i]);
    }
    double sum = 0;
    for (double one : wealth) {
      sum += Math.exp(one - most);
    }
    return most + Math.log(sum / PLAYERS);
  }
}
