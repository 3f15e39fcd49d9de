package io.millrace.model.ppo;

/** Where the KL to the reference policy is charged. */
public enum KlPlacement {
  /** In the reward of each token: no gradient flows through it. */
  REWARD,
  /** As a term of the policy's loss: its gradient is the estimator's. */
  LOSS
}
