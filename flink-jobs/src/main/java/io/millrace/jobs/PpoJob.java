package io.millrace.jobs;

import io.millrace.connectors.checkpoint.CheckpointSink;
import io.millrace.connectors.checkpoint.StagedCheckpoint;
import io.millrace.connectors.kafka.Check;
import io.millrace.connectors.kafka.KafkaStreams;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.operator.InducedFailure;
import io.millrace.jobs.operator.Outputs;
import io.millrace.jobs.operator.PpoOperator;
import io.millrace.jobs.operator.RolloutCheck;
import io.millrace.jobs.operator.ScoreOperator;
import io.millrace.jobs.operator.ScoredRollout;
import io.millrace.schemas.Reward;
import io.millrace.schemas.RewardCheckpoint;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.TrainingMetrics;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/** rollouts × the latest reward models → policy checkpoints. */
final class PpoJob {

  private PpoJob() {}

  static void build(StreamExecutionEnvironment env, MillraceConfig config, boolean bounded) {
    KafkaStreams kafka = JobSettings.kafka(env, config, "ppo", bounded);

    DataStream<Rollout> rollouts = kafka.read(Rollout.class, new RolloutCheck(config));
    DataStream<RewardCheckpoint> rewardModels = kafka.read(RewardCheckpoint.class, Check.none());

    DataStream<ScoredRollout> scored =
        rollouts
            .connect(rewardModels.broadcast())
            .transform(
                "score",
                TypeInformation.of(ScoredRollout.class),
                new ScoreOperator(config, bounded))
            .uid("score");

    SingleOutputStreamOperator<StagedCheckpoint> checkpoints =
        InducedFailure.insert(scored, config.ppo().failAtRollout())
            .transform(
                "ppo updater", TypeInformation.of(StagedCheckpoint.class), new PpoOperator(config))
            .uid("ppo-updater")
            .setParallelism(1)
            .setMaxParallelism(1);

    checkpoints
        .sinkTo(new CheckpointSink(JobSettings.kafka(config)))
        .name("policy checkpoints")
        .uid("policy-checkpoints-sink")
        .setParallelism(1);
    kafka.write(checkpoints.getSideOutput(Outputs.REWARDS), Reward.class);
    kafka.write(checkpoints.getSideOutput(Outputs.METRICS), TrainingMetrics.class);
  }
}
