package io.millrace.model.ppo;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;

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
   * Tells what the last PPO batch measured.
   *
   * @param meanKl mean over its rollouts of the KL to the reference policy summed over a response,
   *     in nats; an estimate, so it may be negative
   * @param rollouts how many, at least 1
   * @throws IllegalArgumentException if meanKl is not finite or rollouts is below 1
   */
  void update(double meanKl, long rollouts);

  void write(DataOutput out) throws IOException;

  /**
   * Takes over the state that a controller wrote, of either kind, so that a job may change kind
   * between runs: a fixed β always stays the configured one, an adaptive β continues an adaptive
   * one.
   *
   * @throws IOException if it is no controller's state
   */
  void read(DataInput in) throws IOException;
}
