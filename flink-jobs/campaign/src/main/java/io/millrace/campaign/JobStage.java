package io.millrace.campaign;

import io.millrace.campaign.record.CampaignRecord;
import io.millrace.campaign.record.StageResult;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.demo.loop.MetricsFollower;
import io.millrace.schemas.Topic;
import java.util.Map;
import java.util.TreeMap;

/** A stage that runs jobs, whose figures it keeps. */
abstract class JobStage implements Stage {

  /** So that no limit of a job's own ends what a stage does in one go. */
  static final String NEVER = "=" + Long.MAX_VALUE;

  private final int version;
  private final String name;

  /** What it works with. */
  protected final CampaignContext context;

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

  /** Where its jobs write their figures. */
  KafkaSettings topics() {
    return context.kafka();
  }

  /** What the stage starts from, beside the end of the topic training-metrics. */
  abstract Map<String, Long> starting(CampaignRecord record) throws Exception;

  /**
   * Does the work, or what an interrupted attempt left of it.
   *
   * @param metrics those of this stage
   */
  abstract StageResult work(CampaignRecord record, Map<String, Long> start, MetricsFollower metrics)
      throws Exception;
}
