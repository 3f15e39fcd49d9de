package io.millrace.campaign;

import io.millrace.campaign.record.CampaignFile;
import io.millrace.campaign.record.CampaignRecord;
import io.millrace.campaign.record.CheckpointRef;
import io.millrace.campaign.record.StageResult;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.demo.loop.MetricsFollower;
import io.millrace.jobs.Job;
import io.millrace.jobs.runtime.JobSettings;
import io.millrace.schemas.Objective;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.Promotion;
import io.millrace.schemas.RewardCheckpoint;
import io.millrace.schemas.Topic;
import io.millrace.schemas.wire.JsonLines;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/**
 * A version beside the first and the one before, by the job evaluation, and its gate's verdict. The
 * campaign's versions and reward models are announced in topics of their own, so that policies in
 * between, of which PPO publishes many, are not taken for versions.
 */
final class EvaluationStage extends JobStage {

  static final String NAME = "evaluation";

  /** What the topics of evaluation have between the campaign's prefix and their names. */
  private static final String TOPICS = "versions.";

  EvaluationStage(CampaignContext context, int version) {
    super(context, version, NAME);
  }

  @Override
  public String title() {
    return "evaluation on held-out prompts, and the gate's verdict";
  }

  private String prefix() {
    return context.config().kafka().topicPrefix() + TOPICS;
  }

  @Override
  KafkaSettings topics() {
    return JobSettings.kafka(context.config(List.of("kafka.topic-prefix=" + prefix())));
  }

  @Override
  Map<String, Long> starting(CampaignRecord record) throws IOException {
    try (TopicAdmin admin = new TopicAdmin(topics())) {
      admin.createAll(1, TopicAdmin.CLUSTER_DEFAULT);
    }
    return Map.of("policy", record.latest(CheckpointRef.POLICY).version());
  }

  @Override
  StageResult work(CampaignRecord record, Map<String, Long> start, MetricsFollower metrics)
      throws Exception {
    KafkaSettings topics = topics();
    long policy = start.get("policy");
    announce(topics, record);
    StageJob job =
        context.job(
            this,
            Job.EVALUATION,
            List.of(
                "model.initial=" + CampaignContext.location(record.chat()),
                "kafka.topic-prefix=" + prefix()));
    if (job.isInterrupted() || verdict(topics, policy) == null) {
      var _ = job.runToEnd(metrics::poll);
    }
    Promotion verdict = verdict(topics, policy);
    if (verdict == null) {
      throw new IOException(
          "the job evaluation ended without a verdict on policy version %d".formatted(policy));
    }
    keep(topics);
    return result(verdict);
  }

  /** The reward models first: a version is judged by those there are. */
  private void announce(KafkaSettings topics, CampaignRecord record) throws IOException {
    Set<String> there = new HashSet<>();
    try (RecordReader<RewardCheckpoint> rewards =
            RecordReader.fromEarliest(topics, Topic.REWARD_CHECKPOINTS);
        RecordReader<PolicyCheckpoint> policies =
            RecordReader.fromEarliest(topics, Topic.POLICY_CHECKPOINTS)) {
      rewards.readToEnd(entry -> entry.record().ifPresent(r -> there.add(r.getUri())));
      policies.readToEnd(entry -> entry.record().ifPresent(p -> there.add(p.getUri())));
    }
    try (RecordWriter writer = new RecordWriter(topics)) {
      for (Objective objective : Objective.values()) {
        RewardCheckpoint latest = context.announcedReward(objective).orElseThrow();
        if (!there.contains(latest.getUri())) {
          writer.send(Topic.REWARD_CHECKPOINTS, latest);
        }
      }
      writer.flush();
      for (CheckpointRef version : versions(record)) {
        if (!there.contains(version.uri())) {
          writer.send(Topic.POLICY_CHECKPOINTS, announcement(version));
        }
      }
    }
  }

  /** The policy that each version ended with. */
  private static List<CheckpointRef> versions(CampaignRecord record) {
    List<CheckpointRef> versions = new ArrayList<>();
    for (CampaignRecord.Version version : record.versions()) {
      // A chat checkpoint without a manifest cannot be announced: what it holds is not certain.
      if (version.policy() != null && !version.policy().manifestSha256().isEmpty()) {
        versions.add(version.policy());
      }
    }
    return versions;
  }

  private static PolicyCheckpoint announcement(CheckpointRef version) {
    return PolicyCheckpoint.newBuilder()
        .setModel(version.name())
        .setVersion(version.version())
        .setUri(version.uri())
        .setManifestSha256(version.manifestSha256())
        .setIteration(0)
        .setStep(0)
        .build();
  }

  private static Promotion verdict(KafkaSettings topics, long policy) throws IOException {
    return promotions(topics).stream()
        .filter(promotion -> promotion.getEvaluated() == policy)
        .reduce((first, last) -> last)
        .orElse(null);
  }

  private static List<Promotion> promotions(KafkaSettings topics) throws IOException {
    List<Promotion> promotions = new ArrayList<>();
    try (RecordReader<Promotion> reader = RecordReader.fromEarliest(topics, Topic.PROMOTIONS)) {
      reader.readToEnd(entry -> entry.record().ifPresent(promotions::add));
    }
    return promotions;
  }

  private void keep(KafkaSettings topics) throws IOException {
    StringBuilder lines = new StringBuilder();
    for (Promotion promotion : promotions(topics)) {
      lines.append(JsonLines.write(promotion)).append('\n');
    }
    CampaignFile.replace(
        context.directory().resolve(CampaignFile.PROMOTIONS),
        lines.toString().getBytes(StandardCharsets.UTF_8));
  }

  private static StageResult result(Promotion verdict) {
    Map<String, Double> figures = new TreeMap<>();
    verdict.getMetrics().forEach((name, value) -> figures.put(NAME + "/" + name, value));
    List<String> notes = new ArrayList<>();
    notes.add(
        "policy version %d: %s, serve %s"
            .formatted(
                verdict.getEvaluated(),
                verdict.getVerdict(),
                verdict.getVersion() == 0 ? "none" : "version " + verdict.getVersion()));
    notes.addAll(verdict.getReasons());
    return new StageResult(Map.of(), Map.of(), List.of(), figures, notes, List.of());
  }
}
