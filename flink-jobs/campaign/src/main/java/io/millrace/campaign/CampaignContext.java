package io.millrace.campaign;

import io.millrace.campaign.record.CampaignFile;
import io.millrace.campaign.record.CheckpointRef;
import io.millrace.connectors.checkpoint.store.CheckpointStore;
import io.millrace.connectors.checkpoint.store.LocalCheckpoint;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.demo.loop.MetricsFollower;
import io.millrace.demo.loop.Progress;
import io.millrace.jobs.Job;
import io.millrace.jobs.config.ConfigTree;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.runtime.JobSettings;
import io.millrace.jobs.runtime.LocalCluster;
import io.millrace.schemas.Objective;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.RewardCheckpoint;
import io.millrace.schemas.Topic;
import io.millrace.schemas.TrainingMetrics;
import io.millrace.schemas.wire.JsonLines;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.apache.avro.specific.SpecificRecordBase;

/** Kafka, Flink, checkpoints and configuration for the stages of a campaign. */
final class CampaignContext {

  private final ConfigTree tree;
  private final MillraceConfig base;
  private final LocalCluster cluster;
  private final Progress progress;

  CampaignContext(ConfigTree tree, LocalCluster cluster, Progress progress) {
    this.tree = tree;
    this.base = tree.config(List.of()).withAbsolutePaths();
    this.cluster = cluster;
    this.progress = progress;
  }

  /** The campaign's configuration. */
  MillraceConfig config() {
    return base;
  }

  /** The campaign's configuration with settings on top, each {@code section.key=value}. */
  MillraceConfig config(List<String> settings) {
    return tree.config(settings).withAbsolutePaths();
  }

  LocalCluster cluster() {
    return cluster;
  }

  Progress progress() {
    return progress;
  }

  KafkaSettings kafka() {
    return JobSettings.kafka(base);
  }

  Path directory() {
    return Path.of(base.section(CampaignSection.class).directory());
  }

  /**
   * The path or URI from which jobs load a checkpoint. On this machine the files must match the
   * announced digest.
   */
  static String location(CheckpointRef checkpoint) throws IOException {
    if (!CheckpointStore.isLocal(checkpoint.uri())) {
      return checkpoint.uri();
    }
    Path directory =
        checkpoint.manifestSha256().isEmpty()
            ? CheckpointStore.resolve(checkpoint.uri())
            : CheckpointStore.resolve(checkpoint.uri(), checkpoint.manifestSha256());
    return directory.toString();
  }

  /** A checkpoint as a directory of this machine, downloaded where necessary. */
  LocalCheckpoint open(CheckpointRef checkpoint) throws IOException {
    return checkpoint.manifestSha256().isEmpty()
        ? JobSettings.cache(base).open(checkpoint.uri())
        : JobSettings.cache(base).open(checkpoint.uri(), checkpoint.manifestSha256());
  }

  /** A job of a stage, with its own directory for Flink checkpoints. */
  StageJob job(Stage stage, Job job, List<String> settings) {
    return new StageJob(
        cluster, job, tree.with(settings), stateDirectory(stage.id()).resolve(job.id()));
  }

  /** The directory of the Flink checkpoints of a stage's jobs. */
  Path stateDirectory(String stage) {
    return Path.of(base.flink().stateDirectory()).resolve(stage);
  }

  /** The current end offsets of a topic, by "topic/partition". */
  Map<String, Long> offsets(Topic<?> topic) throws IOException {
    return offsets(kafka(), topic);
  }

  /** The current end offsets of a topic under another prefix, by "topic/partition". */
  Map<String, Long> offsets(KafkaSettings settings, Topic<?> topic) throws IOException {
    try (TopicAdmin admin = new TopicAdmin(settings)) {
      Map<String, Long> offsets = new TreeMap<>();
      admin
          .describe(topic)
          .ifPresent(
              state ->
                  state
                      .endOffsets()
                      .forEach(
                          (partition, end) -> offsets.put(topic.name() + "/" + partition, end)));
      return offsets;
    }
  }

  /**
   * The offsets at which a job continues to read a topic, by "topic/partition". A job that never
   * ran starts at offset 0.
   */
  Map<String, Long> positions(Job job, Topic<?> topic) throws IOException {
    Map<String, Long> positions = offsets(topic);
    positions.replaceAll((partition, end) -> 0L);
    try (TopicAdmin admin = new TopicAdmin(kafka())) {
      admin
          .groupPositions(group(kafka(), job), topic)
          .forEach((partition, next) -> positions.put(topic.name() + "/" + partition, next));
    }
    return positions;
  }

  private static String group(KafkaSettings settings, Job job) {
    return settings.topicPrefix() + job.id();
  }

  /** The part of {@link #offsets} that belongs to a topic, by partition. */
  static Map<Integer, Long> partitions(Map<String, Long> offsets, Topic<?> topic) {
    String prefix = topic.name() + "/";
    return offsets.entrySet().stream()
        .filter(entry -> entry.getKey().startsWith(prefix))
        .collect(
            Collectors.toMap(
                entry -> Integer.valueOf(entry.getKey().substring(prefix.length())),
                Map.Entry::getValue));
  }

  /** The newest announcement of the policy in the campaign's topics. */
  Optional<PolicyCheckpoint> announcedPolicy() throws IOException {
    return announcedPolicy(base);
  }

  /** The newest announcement of a configuration's policy in the configuration's topics. */
  static Optional<PolicyCheckpoint> announcedPolicy(MillraceConfig config) throws IOException {
    return latest(
        JobSettings.kafka(config),
        Topic.POLICY_CHECKPOINTS,
        checkpoint ->
            checkpoint.getModel().equals(config.model().name()) ? checkpoint.getVersion() : -1);
  }

  /** The newest announced version of the policy; 0 where there is none. */
  long policyVersion() throws IOException {
    return announcedPolicy().map(PolicyCheckpoint::getVersion).orElse(0L);
  }

  /** The newest announcement of an objective's reward model that PPO optimises. */
  Optional<RewardCheckpoint> announcedReward(Objective objective) throws IOException {
    return announcedReward(objective, false);
  }

  /**
   * The newest announcement of an objective's reward model.
   *
   * @param judge of the one that judges versions, or of the one that PPO optimises
   */
  Optional<RewardCheckpoint> announcedReward(Objective objective, boolean judge)
      throws IOException {
    return latest(
        kafka(),
        Topic.REWARD_CHECKPOINTS,
        checkpoint ->
            checkpoint.getObjective() == objective && checkpoint.getJudge() == judge
                ? checkpoint.getVersion()
                : -1);
  }

  /** The newest announced version of an objective's reward model; 0 where there is none. */
  long rewardVersion(Objective objective, boolean judge) throws IOException {
    return announcedReward(objective, judge).map(RewardCheckpoint::getVersion).orElse(0L);
  }

  /** Moves a job's consumer group: the next fresh run of the job starts at these offsets. */
  void startAt(KafkaSettings settings, Job job, Topic<?> topic, Map<String, Long> offsets)
      throws IOException {
    try (TopicAdmin admin = new TopicAdmin(settings)) {
      admin.moveGroup(group(settings, job), topic, partitions(offsets, topic));
    }
  }

  private interface VersionOf<T> {
    /** The record's version; below 0 for a record about another model. */
    long of(T record);
  }

  private static <T extends SpecificRecordBase> Optional<T> latest(
      KafkaSettings kafka, Topic<T> topic, VersionOf<T> version) throws IOException {
    TreeMap<Long, T> byVersion = new TreeMap<>();
    try (RecordReader<T> reader = RecordReader.fromEarliest(kafka, topic)) {
      reader.readToEnd(
          entry -> entry.record().ifPresent(record -> byVersion.put(version.of(record), record)));
    }
    return byVersion.isEmpty() || byVersion.lastKey() < 0
        ? Optional.empty()
        : Optional.of(byVersion.lastEntry().getValue());
  }

  /** Writes a stage's training metrics to a file, for reports. */
  void keep(String stage, MetricsFollower metrics) throws IOException {
    metrics.readToEnd();
    StringBuilder lines = new StringBuilder();
    for (TrainingMetrics step : metrics.all()) {
      lines.append(JsonLines.write(step)).append('\n');
    }
    Path file = CampaignFile.metrics(directory(), stage);
    Files.createDirectories(file.getParent());
    CampaignFile.replace(file, lines.toString().getBytes(StandardCharsets.UTF_8));
  }
}
