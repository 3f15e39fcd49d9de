package io.millrace.model.ppo;

import java.util.Locale;

/** How the advantages of response tokens are estimated. {@link Advantages} has each formula. */
public enum AdvantageMethod {
  /** Generalised advantage estimation with a critic (Schulman et al., arXiv 1506.02438). */
  GAE,

  /** The mean reward of the prompt's other responses as baseline (arXiv 2402.14740). */
  RLOO,

  /** Mean and deviation of the rewards of the prompt's responses (arXiv 2402.03300). */
  GRPO,

  /** Discounted rewards to go, whitened over the batch (REINFORCE++, arXiv 2501.03262). */
  REINFORCE_PLUS_PLUS;

  /** Whether a critic is trained beside the policy. */
  public boolean hasCritic() {
    return this == GAE;
  }

  /** Whether a response is compared with the other responses to its prompt. */
  public boolean comparesResponses() {
    return this == RLOO || this == GRPO;
  }

  /** The name in configurations: {@code gae}, {@code rloo}, {@code grpo}, {@code reinforce++}. */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT).replace("_plus", "+");
  }
}
