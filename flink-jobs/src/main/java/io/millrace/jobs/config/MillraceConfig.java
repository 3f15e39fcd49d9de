package io.millrace.jobs.config;

import java.io.Serializable;
import java.nio.file.Path;

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
    PpoSection ppo,
    RejectionSamplingSection rejectionSampling,
    EvaluationSection evaluation,
    CampaignSection campaign)
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
    if (rejectionSampling.studentName().equals(model.name())) {
      throw new IllegalArgumentException(
          "rejection-sampling.student-name must be another than model.name, which is '"
              + model.name()
              + "' too");
    }
  }

  /** The same with another checkpoint to start from. */
  public MillraceConfig withInitial(String directory) {
    return with(
        checkpoints,
        flink,
        model.withInitial(directory),
        supervised,
        rejectionSampling,
        evaluation,
        campaign);
  }

  /** The same with paths that hold whatever a process's working directory is. */
  public MillraceConfig withAbsolutePaths() {
    return with(
        checkpoints.withDirectories(
            absolute(checkpoints.directory()), absolute(checkpoints.cacheDirectory())),
        flink.withStateDirectory(absolute(flink.stateDirectory())),
        model.initial().isBlank() ? model : model.withInitial(absolute(model.initial())),
        supervised.fromFile() ? supervised.withFile(absolute(supervised.file())) : supervised,
        rejectionSampling.withPaths(
            absoluteIfAny(rejectionSampling.bag()), absoluteIfAny(rejectionSampling.student())),
        evaluation.withPaths(MillraceConfig::absolute),
        campaign.withDirectory(absolute(campaign.directory())));
  }

  /** The same for operators: what Flink's processes are told is no part of a job. */
  public MillraceConfig withoutFlinkProperties() {
    return with(
        checkpoints,
        flink.withoutProperties(),
        model,
        supervised,
        rejectionSampling,
        evaluation,
        campaign);
  }

  private MillraceConfig with(
      CheckpointSection newCheckpoints,
      FlinkSection newFlink,
      ModelSection newModel,
      SupervisedSection newSupervised,
      RejectionSamplingSection newRejectionSampling,
      EvaluationSection newEvaluation,
      CampaignSection newCampaign) {
    return new MillraceConfig(
        kafka,
        newCheckpoints,
        newFlink,
        newModel,
        compute,
        dedup,
        newSupervised,
        rewardModel,
        rollout,
        ppo,
        newRejectionSampling,
        newEvaluation,
        newCampaign);
  }

  private static String absoluteIfAny(String location) {
    return location.isBlank() ? location : absolute(location);
  }

  private static String absolute(String location) {
    return location.matches("[A-Za-z][A-Za-z0-9+.-]+:.*")
        ? location
        : Path.of(location).toAbsolutePath().normalize().toString();
  }
}
