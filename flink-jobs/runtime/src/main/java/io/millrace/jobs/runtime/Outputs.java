package io.millrace.jobs.runtime;

import io.millrace.schemas.Lineage;
import io.millrace.schemas.Reward;
import io.millrace.schemas.TrainingMetrics;
import java.time.Instant;
import java.util.Map;
import org.apache.flink.formats.avro.typeutils.AvroTypeInfo;
import org.apache.flink.util.OutputTag;

/** What operators emit beside their main output. */
public final class Outputs {

  public static final OutputTag<TrainingMetrics> METRICS =
      new OutputTag<>("training-metrics", new AvroTypeInfo<>(TrainingMetrics.class));

  /** Metrics by annotator and source. Their names are people's, so they are no Flink metrics. */
  public static final OutputTag<TrainingMetrics> ANNOTATORS =
      new OutputTag<>("annotators", new AvroTypeInfo<>(TrainingMetrics.class));

  public static final OutputTag<Reward> REWARDS =
      new OutputTag<>("rewards", new AvroTypeInfo<>(Reward.class));

  public static final OutputTag<Lineage> LINEAGE =
      new OutputTag<>("lineage", new AvroTypeInfo<>(Lineage.class));

  private Outputs() {}

  public static TrainingMetrics metrics(
      String job, long step, Map<String, Double> metrics, Instant time) {
    return TrainingMetrics.newBuilder()
        .setJob(job)
        .setStep(step)
        .setMetrics(metrics)
        .setTime(time)
        .build();
  }
}
