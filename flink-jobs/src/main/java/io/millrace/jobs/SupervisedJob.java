package io.millrace.jobs;

import io.millrace.connectors.checkpoint.CheckpointSink;
import io.millrace.connectors.checkpoint.StagedCheckpoint;
import io.millrace.connectors.kafka.KafkaStreams;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.operator.LengthCheck;
import io.millrace.jobs.operator.Outputs;
import io.millrace.jobs.operator.SupervisedOperator;
import io.millrace.schemas.Demonstration;
import io.millrace.schemas.TrainingMetrics;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/** demonstrations → policy checkpoints. */
final class SupervisedJob {

  private SupervisedJob() {}

  static void build(StreamExecutionEnvironment env, MillraceConfig config, boolean bounded) {
    KafkaStreams kafka = JobSettings.kafka(env, config, "supervised", bounded);

    SingleOutputStreamOperator<StagedCheckpoint> checkpoints =
        kafka
            .read(
                Demonstration.class,
                LengthCheck.demonstrations(
                    config.model().initial(), config.supervised().maxTokens()))
            .transform(
                "supervised trainer",
                TypeInformation.of(StagedCheckpoint.class),
                new SupervisedOperator(config, bounded))
            .uid("supervised-trainer")
            .setParallelism(1)
            .setMaxParallelism(1);

    checkpoints
        .sinkTo(new CheckpointSink(JobSettings.kafka(config)))
        .name("policy checkpoints")
        .uid("policy-checkpoints-sink")
        .setParallelism(1);
    kafka.write(checkpoints.getSideOutput(Outputs.METRICS), TrainingMetrics.class);
  }
}
