package io.millrace.jobs;

import io.millrace.connectors.flink.Sources.Start;
import io.millrace.connectors.flink.Streams;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.operator.AnnouncementCheck;
import io.millrace.jobs.operator.EvaluationOperator;
import io.millrace.jobs.operator.Outputs;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.Promotion;
import io.millrace.schemas.RewardCheckpoint;
import io.millrace.schemas.Topic;
import java.io.IOException;
import java.io.UncheckedIOException;
import org.apache.flink.formats.avro.typeutils.AvroTypeInfo;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/** policy versions × the latest reward models → figures and promotions. */
final class EvaluationJob {

  private static final String JOB = "evaluation";

  private EvaluationJob() {}

  static void build(StreamExecutionEnvironment env, MillraceConfig config, boolean bounded) {
    KafkaSettings kafka = JobSettings.kafka(config);
    try {
      EvaluationOperator.check(config);
    } catch (IOException e) {
      throw new UncheckedIOException(e.getMessage(), e);
    }

    DataStream<PolicyCheckpoint> policies =
        Streams.read(
            env,
            kafka,
            Topic.POLICY_CHECKPOINTS,
            JOB,
            Start.EARLIEST,
            JobSettings.bound(bounded),
            AnnouncementCheck.policies(config));
    DataStream<RewardCheckpoint> rewardModels =
        Streams.read(
            env,
            kafka,
            Topic.REWARD_CHECKPOINTS,
            JOB,
            Start.EARLIEST,
            JobSettings.bound(bounded),
            AnnouncementCheck.rewardModels(config));

    SingleOutputStreamOperator<Promotion> promotions =
        policies
            .connect(rewardModels.broadcast())
            .transform(
                "evaluator",
                new AvroTypeInfo<>(Promotion.class),
                new EvaluationOperator(config, bounded))
            .uid("evaluator")
            .setParallelism(1)
            .setMaxParallelism(1);

    Streams.write(promotions, kafka, Topic.PROMOTIONS, JOB);
    Streams.write(promotions.getSideOutput(Outputs.METRICS), kafka, Topic.TRAINING_METRICS, JOB);
  }
}
