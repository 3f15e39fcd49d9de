package io.millrace.jobs;

import io.millrace.connectors.checkpoint.CheckpointSink;
import io.millrace.connectors.checkpoint.StagedCheckpoint;
import io.millrace.connectors.flink.Sources.Start;
import io.millrace.connectors.flink.Streams;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.operator.LengthCheck;
import io.millrace.jobs.operator.Outputs;
import io.millrace.jobs.operator.SupervisedOperator;
import io.millrace.schemas.Topic;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/** demonstrations → policy checkpoints. */
final class SupervisedJob {

  private static final String JOB = "supervised";

  private SupervisedJob() {}

  static void build(StreamExecutionEnvironment env, MillraceConfig config, boolean bounded) {
    KafkaSettings kafka = JobSettings.kafka(config);

    SingleOutputStreamOperator<StagedCheckpoint> checkpoints =
        Streams.read(
                env,
                kafka,
                Topic.DEMONSTRATIONS,
                JOB,
                Start.EARLIEST,
                JobSettings.bound(bounded),
                LengthCheck.demonstrations(
                    config.model().initial(), config.supervised().maxTokens()))
            .transform(
                "supervised trainer",
                TypeInformation.of(StagedCheckpoint.class),
                new SupervisedOperator(config, bounded))
            .uid("supervised-trainer")
            .setParallelism(1)
            .setMaxParallelism(1);

    CheckpointSink.attach(checkpoints, kafka, JobSettings.store(config), JOB);
    Streams.write(checkpoints.getSideOutput(Outputs.METRICS), kafka, Topic.TRAINING_METRICS, JOB);
  }
}
