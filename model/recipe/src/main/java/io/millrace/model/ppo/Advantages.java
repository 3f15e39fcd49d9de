package io.millrace.model.ppo;

import io.millrace.model.training.Checks;
import java.util.Objects;

/**
 * The advantages of response tokens: one function for each {@link AdvantageMethod}.
 *
 * <p>The reward of a response is R̃_c less the truncation penalty. With the KL in the reward, each
 * token also pays −β·k1 ({@link KlPenalty#rewards}). Time is the sequence of response tokens:
 * tokens of others between them are not steps.
 *
 * @param gamma discount γ, in [0, 1]; of {@code GAE} and {@code REINFORCE_PLUS_PLUS}
 * @param lambda λ, in [0, 1]; of {@code GAE}
 * @param groupDeviation whether {@code GRPO} divides by the deviation of the group's rewards
 */
public record Advantages(
    AdvantageMethod method, double gamma, double lambda, boolean groupDeviation) {

  public static final double DEFAULT_GAMMA = 1.0;
  public static final double DEFAULT_LAMBDA = 0.95;

  public Advantages {
    Objects.requireNonNull(method, "method");
    Checks.that(gamma >= 0 && gamma <= 1, "gamma", gamma, "in [0, 1]");
    Checks.that(lambda >= 0 && lambda <= 1, "lambda", lambda, "in [0, 1]");
  }

  /** Generalised advantage estimation. */
  public Advantages(double gamma, double lambda) {
    this(AdvantageMethod.GAE, gamma, lambda, true);
  }

  public static Advantages defaults() {
    return of(AdvantageMethod.GAE);
  }

  /** A method with γ, λ and the group's deviation as its paper has them. */
  public static Advantages of(AdvantageMethod method) {
    return new Advantages(method, DEFAULT_GAMMA, DEFAULT_LAMBDA, true);
  }

  /**
   * What GAE gives for every token.
   *
   * @param advantages not whitened yet
   * @param returns the critic's targets; they belong to the advantages before whitening
   */
  public record Estimate(double[] advantages, double[] returns) {}

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
   * <p>V_t is the value of the state in which token t is chosen.
   *
   * @param rewards of its tokens, {@code [tokens]} ({@link KlPenalty#rewards})
   * @param values of the critic before the iteration's first update, {@code [tokens]}
   * @throws IllegalArgumentException if the response is empty, lengths differ or a number is not
   *     finite
   */
  public Estimate estimate(double[] rewards, float[] values) {
    requireTokens(rewards);
    Checks.sameLength("values", values.length, rewards.length);
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

  /**
   * REINFORCE++ (arXiv 2501.03262, section 3): the discounted sum of the rewards from each token
   * on, {@code A_t = Σ_{s ≥ t} γ^(s−t)·r_s}. The batch's tokens are whitened afterwards.
   *
   * @param rewards of one response's tokens, {@code [tokens]}
   * @throws IllegalArgumentException if the response is empty or a number is not finite
   */
  public double[] rewardsToGo(double[] rewards) {
    requireTokens(rewards);
    double[] sums = new double[rewards.length];
    double later = 0;
    for (int t = rewards.length - 1; t >= 0; t--) {
      later = rewards[t] + gamma * later;
      sums[t] = later;
    }
    return sums;
  }

  /**
   * The advantages of the responses to one prompt, each for all tokens of its response. A response
   * alone has nothing to be compared with: its advantage is 0.
   *
   * @param rewards R of each response, its KL in the reward included, {@code [responses]}
   * @throws IllegalStateException if the method does not compare responses
   * @throws IllegalArgumentException if a number is not finite
   */
  public double[] ofGroup(double[] rewards) {
    return switch (method) {
      case RLOO -> leaveOneOut(rewards);
      case GRPO -> groupDeviation ? normalized(rewards) : centred(rewards);
      case GAE, REINFORCE_PLUS_PLUS ->
          throw new IllegalStateException(method + " does not compare responses");
    };
  }

  /**
   * RLOO (Ahmadian et al., arXiv 2402.14740): {@code A_i = R_i − Σ_{j≠i} R_j / (n − 1)}. The
   * baseline of a response does not depend on the response, so it adds no bias, whichever policy
   * version sampled the others.
   */
  static double[] leaveOneOut(double[] rewards) {
    return differences(rewards, rewards.length - 1);
  }

  /**
   * GRPO (Shao et al., arXiv 2402.03300, section 4.1.2): {@code A_i = (R_i − mean(R)) /
   * deviation(R)}, with the deviation of {@link Whitening}.
   */
  static double[] normalized(double[] rewards) {
    return Whitening.defaults().whiten(rewards);
  }

  /**
   * GRPO without the deviation (Liu et al., arXiv 2503.20783, section 3): {@code A_i = R_i −
   * mean(R)}. Prompts whose rewards are close together no longer count more.
   */
  static double[] centred(double[] rewards) {
    return differences(rewards, rewards.length);
  }

  /** {@code Σ_j (R_i − R_j) / divisor}: exactly 0 where all are equal. */
  private static double[] differences(double[] rewards, int divisor) {
    Checks.finite("rewards", rewards);
    double[] advantages = new double[rewards.length];
    for (int i = 0; i < rewards.length && rewards.length > 1; i++) {
      for (double other : rewards) {
        advantages[i] += (rewards[i] - other) / divisor;
      }
    }
    return advantages;
  }

  private static void requireTokens(double[] rewards) {
    if (rewards.length == 0) {
      throw new IllegalArgumentException("a response without tokens has no advantages");
    }
    Checks.finite("rewards", rewards);
  }
}
