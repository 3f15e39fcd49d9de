package io.millrace.model.ppo;

import io.millrace.model.training.Checks;

/**
 * Generalised advantage estimation (Schulman et al., arXiv 1506.02438, equations 11 and 16),
 * backward over the tokens of one response:
 *
 * <pre>
 * δ_t = r_t + γ·V_{t+1} − V_t          V = 0 after the last token
 * A_t = δ_t + γ·λ·A_{t+1}
 * return_t = A_t + V_t
 * </pre>
 *
 * <p>V_t is the value of the state in which token t is chosen. Time is the sequence of response
 * tokens: tokens of others between them are not steps.
 *
 * @param gamma discount γ, in [0, 1]
 * @param lambda λ, in [0, 1]
 */
public record Advantages(double gamma, double lambda) {

  public static final double DEFAULT_GAMMA = 1.0;
  public static final double DEFAULT_LAMBDA = 0.95;

  public Advantages {
    Checks.that(gamma >= 0 && gamma <= 1, "gamma", gamma, "in [0, 1]");
    Checks.that(lambda >= 0 && lambda <= 1, "lambda", lambda, "in [0, 1]");
  }

  public static Advantages defaults() {
    return new Advantages(DEFAULT_GAMMA, DEFAULT_LAMBDA);
  }

  /**
   * What GAE gives for every token.
   *
   * @param advantages not whitened yet
   * @param returns the critic's targets; they belong to the advantages before whitening
   */
  public record Estimate(double[] advantages, double[] returns) {}

  /**
   * The estimate for one response.
   *
   * @param rewards of its tokens, {@code [tokens]} ({@link KlPenalty#rewards})
   * @param values of the critic before the iteration's first update, {@code [tokens]}
   * @throws IllegalArgumentException if the response is empty, lengths differ or a number is not
   *     finite
   */
  public Estimate estimate(double[] rewards, float[] values) {
    if (rewards.length == 0) {
      throw new IllegalArgumentException("a response without tokens has no advantages");
    }
    Checks.sameLength("values", values.length, rewards.length);
    Checks.finite("rewards", rewards);
    Checks.finite("values", values);
    double[] advantages = new double[rewards.length];
    double[] returns = new double[rewards.length];
    double nextValue = 0;
    double nextAdvantage = 0;
    for (int t = rewards.length - 1; t >= 0; t--) {
      double delta = rewards[t] + gamma * nextValue - values[t];
      nextAdvantage = delta + gamma * lambda * nextAdvantage;
      nextValue = values[t];
      advantages[t] = nextAdvantage;
      returns[t] = nextAdvantage + values[t];
    }
    return new Estimate(advantages, returns);
  }
}
