package io.millrace.campaign;

import io.millrace.campaign.record.CampaignRecord;
import io.millrace.campaign.record.CheckpointRef;
import io.millrace.campaign.record.StageRecord;
import io.millrace.campaign.record.StageResult;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.demo.loop.MetricsFollower;
import io.millrace.jobs.Job;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.rejection.BagFile;
import io.millrace.jobs.runtime.JobSettings;
import io.millrace.schemas.Objective;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.RewardCheckpoint;
import io.millrace.schemas.Topic;
import java.io.IOException;
import java.util.List;
import java.util.Map;

/**
 * Measures whether it helps to keep the samples of all versions (Llama 2, section 3.2.3). A second
 * policy learns from the last version's samples only, on topics of its own. The stage takes the
 * gold reward of both policies, before any PPO.
 */
final class BagComparisonStage extends JobStage {

  static final String NAME = "last-samples-only";
  private static final String ROLE = "last-only";

  private final DemoPeople people;

  BagComparisonStage(CampaignContext context, int version, DemoPeople people) {
    super(context, version, NAME);
    this.people = people;
  }

  @Override
  public String title() {
    return "for comparison: rejection sampling with the last version's samples only";
  }

  @Override
  Map<String, Long> starting(CampaignRecord record) {
    return Map.of();
  }

  @Override
  StageResult work(CampaignRecord record, Map<String, Long> start, MetricsFollower metrics)
      throws Exception {
    StageRecord sampling = record.stage(id(version(), RejectionStage.NAME)).orElseThrow();
    CheckpointRef all = sampling.checkpoint(CheckpointRef.POLICY).orElseThrow();
    List<String> settings =
        settings(RejectionStage.start(context, record, record.base(version())), all);
    MillraceConfig config = context.config(settings);
    prepare(JobSettings.kafka(config));
    StageJob job = context.job(this, Job.REJECTION_SAMPLING, settings);
    if (job.isInterrupted() || CampaignContext.announcedPolicy(config).isEmpty()) {
      var _ = job.runToEnd(metrics::poll);
    }
    PolicyCheckpoint lastOnly = CampaignContext.announcedPolicy(config).orElseThrow();
    CheckpointRef last = CheckpointRef.of(lastOnly).withRole(ROLE);
    StageResult.Builder result =
        StageResult.builder()
            .produced("policies", 1)
            .checkpoint(last)
            .metrics("bag/all/", gold(all, record))
            .metrics("bag/last/", gold(last, record));
    for (String name : List.of("entries", "selected", "selected-reward")) {
      result.metric(
          "bag/last/" + name, lastOnly.getMetrics().getOrDefault("bag/" + name, Double.NaN));
    }
    return result.build();
  }

  private Map<String, Double> gold(CheckpointRef policy, CampaignRecord record) throws IOException {
    return GoldStage.metrics(GoldStage.measure(context, people, policy, record.chat()));
  }

  private List<String> settings(CheckpointRef start, CheckpointRef all) throws IOException {
    MillraceConfig config = context.config();
    return List.of(
        "model.initial=" + CampaignContext.location(start),
        "model.name=" + config.model().name() + "-" + NAME,
        "kafka.topic-prefix=" + config.kafka().topicPrefix() + NAME + ".",
        // The bag of the version's own run: no prompt is sampled again.
        "rejection-sampling.bag=" + BagFile.location(config, all.version()),
        "rejection-sampling.versions=last",
        "rejection-sampling.start-from=initial");
  }

  /** Announces the version's reward models in the topics of the comparison. */
  private void prepare(KafkaSettings topics) throws IOException {
    try (TopicAdmin admin = new TopicAdmin(topics)) {
      admin.createAll(1, TopicAdmin.CLUSTER_DEFAULT);
    }
    try (RecordReader<RewardCheckpoint> there =
            RecordReader.fromEarliest(topics, Topic.REWARD_CHECKPOINTS);
        RecordWriter writer = new RecordWriter(topics)) {
      if (there.readToEnd(entry -> {}) < Objective.values().length) {
        for (Objective objective : Objective.values()) {
          writer.send(Topic.REWARD_CHECKPOINTS, context.announcedReward(objective).orElseThrow());
        }
      }
    }
  }
}
