package io.millrace.jobs.config;

import java.io.Serializable;

/**
 * One deployment's configuration: what every job reads, each its own section and the shared ones.
 */
public record MillraceConfig(
    KafkaSection kafka,
    CheckpointSection checkpoints,
    FlinkSection flink,
    ModelSection model,
    ComputeSection compute,
    DedupSection dedup,
    SupervisedSection supervised,
    RewardModelSection rewardModel,
    RolloutSection rollout,
    PpoSection ppo)
    implements Serializable {

  public MillraceConfig {
    // Log-probs in rollouts are taken at the sampling temperature; PPO's must be the same ones.
    if (rollout.topP() < 1 && ppo.requireFullSampling()) {
      throw new IllegalArgumentException(
          "rollout.top-p must be 1 for PPO, not "
              + rollout.topP()
              + ": log-probs of a truncated distribution are not the policy's"
              + " (for sampling without PPO set ppo.require-full-sampling: false)");
    }
  }

  /** The same with another checkpoint to start from. */
  public MillraceConfig withInitial(String directory) {
    return new MillraceConfig(
        kafka,
        checkpoints,
        flink,
        model.withInitial(directory),
        compute,
        dedup,
        supervised,
        rewardModel,
        rollout,
        ppo);
  }
}
