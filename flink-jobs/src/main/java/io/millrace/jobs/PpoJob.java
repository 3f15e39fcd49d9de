package io.millrace.jobs;

import io.millrace.connectors.checkpoint.CheckpointSink;
import io.millrace.connectors.checkpoint.StagedCheckpoint;
import io.millrace.connectors.flink.Sources.Start;
import io.millrace.connectors.flink.Streams;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.operator.AnnouncementCheck;
import io.millrace.jobs.operator.InducedFailure;
import io.millrace.jobs.operator.Outputs;
import io.millrace.jobs.operator.PpoOperator;
import io.millrace.jobs.operator.ScoreOperator;
import io.millrace.jobs.operator.ScoredRollout;
import io.millrace.jobs.safety.SafetyClassifier;
import io.millrace.jobs.safety.SafetyClassifiers;
import io.millrace.schemas.RewardCheckpoint;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.Topic;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/** rollouts × the latest reward models → policy checkpoints. */
final class PpoJob {

  private static final String JOB = "ppo";

  private PpoJob() {}

  static void build(StreamExecutionEnvironment env, MillraceConfig config, boolean bounded) {
    KafkaSettings kafka = JobSettings.kafka(config);
    // A class that is not there, or not a classifier, is told here and not by a failing job.
    SafetyClassifier _ = SafetyClassifiers.of(config.ppo());

    DataStream<Rollout> rollouts = JobInputs.rollouts(env, config, JOB, bounded);
    DataStream<RewardCheckpoint> rewardModels =
        Streams.read(
            env,
            kafka,
            Topic.REWARD_CHECKPOINTS,
            JOB,
            Start.EARLIEST,
            JobSettings.bound(bounded),
            AnnouncementCheck.rewardModels(config));

    DataStream<ScoredRollout> scored =
        Edges.toAny(rollouts)
            .connect(
                Edges.toAll(
                    rewardModels, config.flink().parallelism(), Topic.REWARD_CHECKPOINTS.name()))
            .transform(
                "score",
                TypeInformation.of(ScoredRollout.class),
                new ScoreOperator(config, bounded))
            .uid("score");

    SingleOutputStreamOperator<StagedCheckpoint> checkpoints =
        Edges.toOne(
                InducedFailure.insert(scored, config.ppo().failAtRollout(), "ppo.fail-at-rollout"))
            .transform(
                "ppo updater", TypeInformation.of(StagedCheckpoint.class), new PpoOperator(config))
            .uid("ppo-updater")
            .setParallelism(1)
            .setMaxParallelism(1);

    CheckpointSink.attach(
        checkpoints, kafka, JobSettings.store(config), JobSettings.retention(config), JOB);
    Streams.write(checkpoints.getSideOutput(Outputs.REWARDS), kafka, Topic.REWARDS, JOB);
    Streams.write(checkpoints.getSideOutput(Outputs.METRICS), kafka, Topic.TRAINING_METRICS, JOB);
  }
}
