package io.millrace.campaign;

import io.millrace.campaign.record.CampaignRecord;
import io.millrace.campaign.record.StageResult;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.demo.loop.MetricsFollower;
import io.millrace.schemas.Topic;
import java.util.Map;
import java.util.TreeMap;

/** A stage that runs jobs and keeps their training metrics. */
abstract class JobStage implements Stage {

  /**
   * An option's equals sign and value: a count of records that no stage reaches. It is the highest
   * value that the options accept.
   */
  static final String NEVER = "=1_000_000_000";

  private final int version;
  private final String name;

  /** Kafka, Flink, checkpoints and configuration. */
  final CampaignContext context;

  JobStage(CampaignContext context, int version, String name) {
    this.context = context;
    this.version = version;
    this.name = name;
  }

  @Override
  public final String id() {
    return id(version, name);
  }

  static String id(int version, String name) {
    return "v" + version + "-" + name;
  }

  @Override
  public final int version() {
    return version;
  }

  @Override
  public final Map<String, Long> begin(CampaignRecord record) throws Exception {
    Map<String, Long> start = new TreeMap<>(starting(record));
    start.putAll(context.offsets(topics(), Topic.TRAINING_METRICS));
    return start;
  }

  @Override
  public final StageResult run(CampaignRecord record, Map<String, Long> start) throws Exception {
    Map<Integer, Long> from = CampaignContext.partitions(start, Topic.TRAINING_METRICS);
    try (MetricsFollower metrics = new MetricsFollower(topics(), from)) {
      StageResult result = work(record, start, metrics);
      context.keep(id(), metrics);
      return result;
    }
  }

  /** The Kafka topics to which the stage's jobs write. */
  KafkaSettings topics() {
    return context.kafka();
  }

  /** The stage's start, without the end offsets of the topic training-metrics. */
  abstract Map<String, Long> starting(CampaignRecord record) throws Exception;

  /**
   * Does the work, or the rest of the work of an interrupted attempt.
   *
   * @param metrics training metrics of this stage only
   */
  abstract StageResult work(CampaignRecord record, Map<String, Long> start, MetricsFollower metrics)
      throws Exception;
}
