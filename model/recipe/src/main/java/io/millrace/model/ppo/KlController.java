package io.millrace.model.ppo;

import io.millrace.model.training.Checks;

/** Gives β, the weight of the KL penalty. Its state goes with the learning state of a job. */
public sealed interface KlController permits FixedKl, AdaptiveKl {

  /** Llama 2 (arXiv 2307.09288), section 3.2.3: 0.01 for the 7B and 13B models. */
  double DEFAULT_BETA = 0.01;

  /** The same section: 0.005 for the 34B and 70B models. */
  double DEFAULT_BETA_FROM_34B = 0.005;

  static KlController fixed(double beta) {
    return new FixedKl(beta);
  }

  static KlController adaptive(AdaptiveKl.Settings settings) {
    return new AdaptiveKl(settings);
  }

  double beta();

  /**
   * Takes the KL that the last PPO batch measured.
   *
   * @param meanKl mean over its rollouts of the KL to the reference policy summed over a response,
   *     in nats; an estimate, so it may be negative
   * @param rollouts how many, at least 1
   * @throws IllegalArgumentException if meanKl is not finite or rollouts is below 1
   */
  void update(double meanKl, long rollouts);

  /**
   * The state of a controller of either kind.
   *
   * @param beta finite and at least 0
   */
  record State(boolean adaptive, double beta) {

    public State {
      Checks.that(beta >= 0 && Double.isFinite(beta), "beta", beta, "finite and at least 0");
    }
  }

  State state();

  /**
   * Takes over the state of a controller of either kind, since a job may change the kind between
   * runs: a fixed β stays the configured one, an adaptive β continues an adaptive one.
   *
   * @throws IllegalArgumentException if an adaptive controller is to continue from β = 0
   */
  void restore(State state);
}
