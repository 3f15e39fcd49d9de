package io.millrace.jobs.ppo;

/** What PPO does about the log-probs that another engine recorded in its rollouts. */
public enum RolloutLogProbs {
  /**
   * Computes them again, with the weights of the version that sampled, and compares. A rollout that
   * differs too much is dropped.
   */
  RECOMPUTE,

  /** Takes them as they are. */
  TRUST
}
