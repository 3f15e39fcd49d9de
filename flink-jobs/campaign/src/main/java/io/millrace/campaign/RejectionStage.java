package io.millrace.campaign;

import io.millrace.campaign.record.CampaignRecord;
import io.millrace.campaign.record.CheckpointRef;
import io.millrace.campaign.record.StageResult;
import io.millrace.demo.loop.MetricsFollower;
import io.millrace.jobs.Job;
import io.millrace.jobs.rejection.BagFile;
import io.millrace.jobs.rejection.RejectionSamplingSection;
import io.millrace.jobs.rejection.RejectionSamplingSection.StartFrom;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.Topic;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * Fine-tuning on the best of K samples of each prompt (Llama 2, section 3.2.3). The samples are
 * those of the policy that the version begins with, for the prompts that have come since the
 * version began, and the bag of all earlier versions.
 */
final class RejectionStage extends JobStage {

  static final String NAME = "rejection-sampling";

  RejectionStage(CampaignContext context, int version) {
    super(context, version, NAME);
  }

  @Override
  public String title() {
    return "rejection sampling, fine-tuning on the bag";
  }

  @Override
  Map<String, Long> starting(CampaignRecord record) throws Exception {
    return Map.of("policy", record.latest(CheckpointRef.POLICY).version());
  }

  @Override
  StageResult work(CampaignRecord record, Map<String, Long> start, MetricsFollower metrics)
      throws Exception {
    StageJob job =
        context.job(
            this,
            Job.REJECTION_SAMPLING,
            settings(context, record, version(), record.base(version())));
    if (job.isInterrupted() || context.policyVersion() <= start.get("policy")) {
      if (!job.isInterrupted()) {
        context.startAt(
            context.kafka(), Job.REJECTION_SAMPLING, Topic.PROMPTS, prompts(record, version()));
      }
      var _ =
          job.runToEnd(
              () -> {
                metrics.poll();
                metrics
                    .latest("rejection-sampling-update")
                    .ifPresent(context.progress()::rejectionSampling);
              });
    }
    PolicyCheckpoint policy = context.announcedPolicy().orElseThrow();
    return result(policy, start.get("policy"));
  }

  /** The offsets at which the prompts of a version begin. */
  static Map<String, Long> prompts(CampaignRecord record, int version) {
    return record.stage(id(version, JudgmentStage.NAME)).orElseThrow().start();
  }

  /** The checkpoint from which fine-tuning starts: the sampling policy or the chat checkpoint. */
  static CheckpointRef start(CampaignContext context, CampaignRecord record, CheckpointRef policy) {
    return context.config().section(RejectionSamplingSection.class).startFrom() == StartFrom.INITIAL
        ? record.chat()
        : policy;
  }

  /**
   * The job's settings.
   *
   * @param policy the policy that samples
   */
  static List<String> settings(
      CampaignContext context, CampaignRecord record, int version, CheckpointRef policy)
      throws IOException {
    List<String> settings = new ArrayList<>();
    settings.add("model.initial=" + CampaignContext.location(start(context, record, policy)));
    settings.add("rollout.newest-version=" + policy.version());
    settings.add("rejection-sampling.prompts=new");
    settings.add("rejection-sampling.prompts-per-version" + NEVER);
    for (int before = version - 1; before > 0; before--) {
      var stage = record.stage(id(before, NAME));
      if (stage.isPresent()) {
        CheckpointRef published = stage.get().checkpoint(CheckpointRef.POLICY).orElseThrow();
        settings.add(
            "rejection-sampling.bag=" + BagFile.location(context.config(), published.version()));
        break;
      }
    }
    return settings;
  }

  private static StageResult result(PolicyCheckpoint policy, long before) {
    Map<String, Double> metrics = policy.getMetrics();
    return StageResult.builder()
        .consumed(
            "prompts",
            metrics.getOrDefault("rejection/all/prompts", 0.0).longValue()
                + metrics.getOrDefault("rejection/prompts-without-usable", 0.0).longValue())
        .produced("policies", policy.getVersion() - before)
        .checkpoint(CheckpointRef.of(policy))
        .metrics("", metrics)
        .build();
  }
}
