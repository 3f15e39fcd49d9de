package io.millrace.jobs.ppo;

import io.millrace.connectors.checkpoint.StagedCheckpoint;
import io.millrace.connectors.flink.source.Sources.Start;
import io.millrace.jobs.config.ConfigSection;
import io.millrace.jobs.models.AnnouncementCheck;
import io.millrace.jobs.rollout.RolloutSection;
import io.millrace.jobs.runtime.Edges;
import io.millrace.jobs.runtime.JobContext;
import io.millrace.jobs.runtime.Outputs;
import io.millrace.jobs.safety.SafetyClassifier;
import io.millrace.model.reward.EnsembleReward;
import io.millrace.schemas.RewardCheckpoint;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.Topic;
import java.util.List;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;

/** Rollouts × the latest reward models → policy checkpoints. */
public final class PpoJob {

  /** The sections that the job reads beside the shared ones. */
  public static final List<Class<? extends ConfigSection>> SECTIONS =
      List.of(PpoSection.class, RolloutSection.class);

  private PpoJob() {}

  public static void build(JobContext context) {
    // A class that is missing or not a classifier is refused here, where the job is submitted.
    SafetyClassifier _ = context.section(PpoSection.class).classifier();

    DataStream<Rollout> rollouts =
        context.readOnce(
            Topic.ROLLOUTS,
            Start.EARLIEST,
            new RolloutCheck(context.config()),
            context.parallelism());
    DataStream<RewardCheckpoint> rewardModels =
        context.read(
            Topic.REWARD_CHECKPOINTS,
            context.section(PpoSection.class).reward() == EnsembleReward.Rule.LCB
                ? AnnouncementCheck.rewardModelEnsembles(context.config())
                : AnnouncementCheck.rewardModels(context.config()));

    DataStream<ScoredRollout> scored =
        Edges.toAny(rollouts)
            .connect(
                Edges.toAll(rewardModels, context.parallelism(), Topic.REWARD_CHECKPOINTS.name()))
            .transform(
                "score",
                TypeInformation.of(ScoredRollout.class),
                context.withdrawing(new ScoreOperator(context.config(), context.bounded())))
            .uid("score");

    SingleOutputStreamOperator<StagedCheckpoint> checkpoints =
        Edges.toOne(context.tapped("ppo-updater", scored))
            .transform(
                "ppo updater",
                TypeInformation.of(StagedCheckpoint.class),
                context.withdrawing(new PpoOperator(context.config())))
            .uid("ppo-updater")
            .setParallelism(1)
            .setMaxParallelism(1);

    attachUpdaters(context, checkpoints);
    context.publish(checkpoints);
    context.write(checkpoints.getSideOutput(Outputs.REWARDS), Topic.REWARDS);
    context.writeMetrics(checkpoints);
    context.writeLineage(checkpoints);
  }

  /**
   * The updaters beside the first one. They come after it in the graph: barriers and the end of
   * input reach them when it has handled them. Each has a slot of its own.
   */
  private static void attachUpdaters(
      JobContext context, SingleOutputStreamOperator<StagedCheckpoint> first) {
    int others = context.section(PpoSection.class).updaters() - 1;
    if (others > 0) {
      SingleOutputStreamOperator<Void> _ =
          first
              .getSideOutput(UpdaterAddress.OUTPUT)
              .broadcast()
              .transform("ppo updater ranks", Types.VOID, new UpdaterRankOperator(context.config()))
              .uid("ppo-updater-ranks")
              .setParallelism(others)
              .slotSharingGroup("ppo-updater-ranks");
    }
  }
}
