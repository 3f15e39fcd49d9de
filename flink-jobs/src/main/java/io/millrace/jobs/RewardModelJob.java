package io.millrace.jobs;

import io.millrace.connectors.checkpoint.CheckpointSink;
import io.millrace.connectors.checkpoint.StagedCheckpoint;
import io.millrace.connectors.kafka.KafkaStreams;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.operator.LengthCheck;
import io.millrace.jobs.operator.Outputs;
import io.millrace.jobs.operator.RewardModelOperator;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Objective;
import io.millrace.schemas.TrainingMetrics;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/** judgments → helpfulness and safety reward-model checkpoints. */
final class RewardModelJob {

  private RewardModelJob() {}

  static void build(StreamExecutionEnvironment env, MillraceConfig config, boolean bounded) {
    KafkaStreams kafka = JobSettings.kafka(env, config, "reward-model", bounded);

    DataStream<Judgment> judgments =
        kafka.read(
            Judgment.class,
            LengthCheck.judgments(config.model().initial(), config.rewardModel().maxTokens()));

    DataStream<StagedCheckpoint> checkpoints = null;
    DataStream<TrainingMetrics> metrics = null;
    for (Objective objective : config.rewardModel().objectives()) {
      String name = RewardModelOperator.job(objective);
      SingleOutputStreamOperator<StagedCheckpoint> trained =
          judgments
              .filter(judgment -> judgment.getObjective() == objective)
              .name(name + " judgments")
              .uid(name + "-judgments")
              .transform(
                  name + " trainer",
                  TypeInformation.of(StagedCheckpoint.class),
                  new RewardModelOperator(config, objective))
              .uid(name + "-trainer")
              .setParallelism(1)
              .setMaxParallelism(1);
      DataStream<TrainingMetrics> trainedMetrics = trained.getSideOutput(Outputs.METRICS);
      checkpoints = checkpoints == null ? trained : checkpoints.union(trained);
      metrics = metrics == null ? trainedMetrics : metrics.union(trainedMetrics);
    }

    checkpoints
        .sinkTo(new CheckpointSink(JobSettings.kafka(config)))
        .name("reward checkpoints")
        .uid("reward-checkpoints-sink")
        .setParallelism(1);
    kafka.write(metrics, TrainingMetrics.class);
  }
}
