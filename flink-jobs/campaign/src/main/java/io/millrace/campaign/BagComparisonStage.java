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
import java.util.TreeMap;

/**
 * Whether it helps to keep the samples of all versions (Llama 2, section 3.2.3): a second policy
 * learns from the last version's samples only, on topics of its own, so that it disturbs nothing.
 * Gold reward is taken of both, before any PPO.
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
        settings(RejectionStage.start(context, record, sampler(record, sampling)), all);
    MillraceConfig config = context.config(settings);
    prepare(JobSettings.kafka(config));
    StageJob job = context.job(this, Job.REJECTION_SAMPLING, settings);
    if (job.isInterrupted() || CampaignContext.announcedPolicy(config).isEmpty()) {
      var _ = job.runToEnd(metrics::poll);
    }
    PolicyCheckpoint lastOnly = CampaignContext.announcedPolicy(config).orElseThrow();
    CheckpointRef last = CheckpointRef.of(lastOnly).as(ROLE);
    Map<String, Double> figures = new TreeMap<>();
    figures.putAll(
        GoldStage.figures("bag/all/", GoldStage.measure(context, people, all, record.chat())));
    figures.putAll(
        GoldStage.figures("bag/last/", GoldStage.measure(context, people, last, record.chat())));
    for (String name : List.of("bag/entries", "bag/selected", "bag/selected-reward")) {
      figures.put(
          name.replace("bag/", "bag/last/"), lastOnly.getMetrics().getOrDefault(name, Double.NaN));
    }
    return StageResult.of(Map.of(), Map.of("policies", 1L), List.of(last), figures);
  }

  /** The policy that the version's rejection sampling started from. */
  private static CheckpointRef sampler(CampaignRecord record, StageRecord sampling) {
    CheckpointRef sampler = null;
    for (StageRecord stage : record.stages()) {
      if (stage.id().equals(sampling.id())) {
        break;
      }
      sampler = stage.checkpoint(CheckpointRef.POLICY).orElse(sampler);
    }
    return sampler;
  }

  private List<String> settings(CheckpointRef start, CheckpointRef all) throws IOException {
    MillraceConfig config = context.config();
    return List.of(
        "model.initial=" + CampaignContext.location(start),
        "model.name=" + config.model().name() + "-" + NAME,
        "kafka.topic-prefix=" + config.kafka().topicPrefix() + NAME + ".",
        // What the version's own run left: no prompt is sampled anew.
        "rejection-sampling.bag=" + BagFile.location(config, all.version()),
        "rejection-sampling.versions=last",
        "rejection-sampling.start-from=initial");
  }

  /** The version's reward models, on the topics of the comparison. */
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
