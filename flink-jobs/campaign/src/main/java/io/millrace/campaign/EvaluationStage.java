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

/**
 * Compares a version with the served, the best and the first one by the job evaluation, and records
 * the gate's verdict. The next version begins with the policy that the gate serves then. The
 * campaign announces its versions and reward models in separate topics: PPO publishes many policies
 * between two versions, which are no versions.
 */
final class EvaluationStage extends JobStage {

  static final String NAME = "evaluation";

  /** Stands between the campaign's topic prefix and the names of the evaluation's topics. */
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
          "the job evaluation ended without a verdict on policy version %d; the log has the reason"
              .formatted(policy));
    }
    keep(topics);
    return result(verdict);
  }

  /** Announces the reward models first: the job judges a version by the models that it knows. */
  private void announce(KafkaSettings topics, CampaignRecord record) throws IOException {
    Set<String> announced = new HashSet<>();
    try (RecordReader<RewardCheckpoint> rewards =
            RecordReader.fromEarliest(topics, Topic.REWARD_CHECKPOINTS);
        RecordReader<PolicyCheckpoint> policies =
            RecordReader.fromEarliest(topics, Topic.POLICY_CHECKPOINTS)) {
      rewards.readToEnd(entry -> entry.record().ifPresent(r -> announced.add(r.getUri())));
      policies.readToEnd(entry -> entry.record().ifPresent(p -> announced.add(p.getUri())));
    }
    try (RecordWriter writer = new RecordWriter(topics)) {
      for (Objective objective : Objective.values()) {
        List<RewardCheckpoint> latest = new ArrayList<>();
        latest.add(context.announcedReward(objective).orElseThrow());
        context.announcedReward(objective, true).ifPresent(latest::add);
        for (RewardCheckpoint model : latest) {
          if (!announced.contains(model.getUri())) {
            writer.send(Topic.REWARD_CHECKPOINTS, model);
          }
        }
      }
      writer.flush();
      for (CheckpointRef version : versions(record)) {
        if (!announced.contains(version.uri())) {
          writer.send(Topic.POLICY_CHECKPOINTS, announcement(version));
        }
      }
    }
  }

  /** The last policy of each version. */
  private static List<CheckpointRef> versions(CampaignRecord record) {
    List<CheckpointRef> versions = new ArrayList<>();
    for (CampaignRecord.Version version : record.versions()) {
      // A chat checkpoint without a manifest cannot be announced: nothing vouches for its files.
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
        .filter(promotion -> promotion.getDecisionId().isEmpty())
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
    StageResult.Builder result =
        StageResult.builder()
            .metrics(NAME + "/", verdict.getMetrics())
            .metric(CampaignRecord.SERVED, verdict.getVersion())
            .note(
                "policy version %d: %s, serve %s"
                    .formatted(
                        verdict.getEvaluated(),
                        verdict.getVerdict(),
                        verdict.getVersion() == 0 ? "none" : "version " + verdict.getVersion()));
    verdict.getReasons().forEach(result::note);
    if (!verdict.getJudge().isEmpty()) {
      result.note("judged by " + verdict.getJudge());
    }
    return result.build();
  }
}
