package io.millrace.jobs;

import io.millrace.connectors.checkpoint.CheckpointSink;
import io.millrace.connectors.checkpoint.StagedCheckpoint;
import io.millrace.connectors.flink.DemonstrationFile;
import io.millrace.connectors.flink.Sources.Start;
import io.millrace.connectors.flink.Streams;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.config.SupervisedSection;
import io.millrace.jobs.operator.InducedFailure;
import io.millrace.jobs.operator.LengthCheck;
import io.millrace.jobs.operator.Outputs;
import io.millrace.jobs.operator.SupervisedOperator;
import io.millrace.schemas.Demonstration;
import io.millrace.schemas.Topic;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/** demonstrations, of the topic or of a file → policy checkpoints. */
final class SupervisedJob {

  private static final String JOB = "supervised";

  private SupervisedJob() {}

  static void build(StreamExecutionEnvironment env, MillraceConfig config, boolean bounded) {
    KafkaSettings kafka = JobSettings.kafka(config);

    SingleOutputStreamOperator<StagedCheckpoint> checkpoints =
        Edges.toOne(
                InducedFailure.insert(
                    demonstrations(env, config, kafka, bounded),
                    config.supervised().failAtDemonstration(),
                    "supervised.fail-at-demonstration"))
            .transform(
                "supervised trainer",
                TypeInformation.of(StagedCheckpoint.class),
                new SupervisedOperator(config, bounded))
            .uid("supervised-trainer")
            .setParallelism(1)
            .setMaxParallelism(1);

    CheckpointSink.attach(
        checkpoints, kafka, JobSettings.store(config), JobSettings.retention(config), JOB);
    Streams.write(checkpoints.getSideOutput(Outputs.METRICS), kafka, Topic.TRAINING_METRICS, JOB);
  }

  private static DataStream<Demonstration> demonstrations(
      StreamExecutionEnvironment env, MillraceConfig config, KafkaSettings kafka, boolean bounded) {
    SupervisedSection section = config.supervised();
    LengthCheck<Demonstration> check = LengthCheck.demonstrations(config);
    if (!section.fromFile()) {
      return Streams.read(
          env, kafka, Topic.DEMONSTRATIONS, JOB, Start.EARLIEST, JobSettings.bound(bounded), check);
    }
    try {
      DemonstrationFile file =
          DemonstrationFile.open(Path.of(section.file()), section.epochs(), config.model().seed());
      return Streams.readLines(env, kafka, file, JOB, check);
    } catch (IOException e) {
      throw new UncheckedIOException("supervised.file cannot be read: " + e.getMessage(), e);
    }
  }
}
