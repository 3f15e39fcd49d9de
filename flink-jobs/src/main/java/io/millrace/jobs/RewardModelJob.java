package io.millrace.jobs;

import io.millrace.connectors.checkpoint.CheckpointSink;
import io.millrace.connectors.checkpoint.StagedCheckpoint;
import io.millrace.connectors.flink.Streams;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.operator.JudgmentSources;
import io.millrace.jobs.operator.Outputs;
import io.millrace.jobs.operator.RewardModelOperator;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Topic;
import io.millrace.schemas.TrainingMetrics;
import java.time.Clock;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/** judgments → helpfulness and safety reward-model checkpoints. */
final class RewardModelJob {

  private static final String JOB = "reward-model";

  private RewardModelJob() {}

  static void build(StreamExecutionEnvironment env, MillraceConfig config, boolean bounded) {
    KafkaSettings kafka = JobSettings.kafka(config);

    DataStream<Judgment> judgments = JobInputs.judgments(env, config, JOB, bounded);

    DataStream<StagedCheckpoint> checkpoints = null;
    DataStream<TrainingMetrics> metrics = null;
    for (Objective objective : config.rewardModel().objectives()) {
      String name = RewardModelOperator.job(objective);
      JudgmentSources sources =
          new JudgmentSources(objective, config.rewardModel().of(objective).ratios());
      SingleOutputStreamOperator<StagedCheckpoint> trained =
          // A task of its own: one reward model that trains must not keep the other waiting.
          Edges.toOne(judgments)
              .filter(judgment -> sources.keyOf(judgment).isPresent())
              .name(name + " judgments")
              .uid(name + "-judgments")
              .setParallelism(1)
              .transform(
                  name + " trainer",
                  TypeInformation.of(StagedCheckpoint.class),
                  new RewardModelOperator(config, objective, Clock.systemUTC()))
              .uid(name + "-trainer")
              .setParallelism(1)
              .setMaxParallelism(1);
      DataStream<TrainingMetrics> trainedMetrics = trained.getSideOutput(Outputs.METRICS);
      checkpoints = checkpoints == null ? trained : checkpoints.union(trained);
      metrics = metrics == null ? trainedMetrics : metrics.union(trainedMetrics);
    }

    CheckpointSink.attach(
        checkpoints, kafka, JobSettings.store(config), JobSettings.retention(config), JOB);
    Streams.write(metrics, kafka, Topic.TRAINING_METRICS, JOB);
  }
}
