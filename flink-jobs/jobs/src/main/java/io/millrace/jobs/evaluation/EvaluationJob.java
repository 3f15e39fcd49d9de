package io.millrace.jobs.evaluation;

import io.millrace.jobs.config.ConfigSection;
import io.millrace.jobs.models.AnnouncementCheck;
import io.millrace.jobs.ppo.PpoSection;
import io.millrace.jobs.rollout.RolloutSection;
import io.millrace.jobs.runtime.Edges;
import io.millrace.jobs.runtime.JobContext;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.Promotion;
import io.millrace.schemas.RewardCheckpoint;
import io.millrace.schemas.Topic;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;
import org.apache.flink.api.common.functions.MapFunction;
import org.apache.flink.api.java.typeutils.EitherTypeInfo;
import org.apache.flink.formats.avro.typeutils.AvroTypeInfo;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.types.Either;

/**
 * Job evaluation: policy versions, the latest reward models and decisions of persons → metrics and
 * promotions.
 */
public final class EvaluationJob {

  /** Configuration sections of the job, beside the shared sections. */
  public static final List<Class<? extends ConfigSection>> SECTIONS =
      List.of(EvaluationSection.class, PpoSection.class, RolloutSection.class);

  private EvaluationJob() {}

  public static void build(JobContext context) {
    try {
      EvaluationOperator.check(context.config());
    } catch (IOException e) {
      throw new UncheckedIOException(e.getMessage(), e);
    }

    DataStream<PolicyCheckpoint> policies =
        context.read(Topic.POLICY_CHECKPOINTS, AnnouncementCheck.policies(context.config()));
    DataStream<RewardCheckpoint> rewardModels =
        context.read(Topic.REWARD_CHECKPOINTS, AnnouncementCheck.rewardModels(context.config()));
    DataStream<Promotion> decisions =
        context.read(Topic.PROMOTIONS, AnnouncementCheck.promotions(context.config()));
    DataStream<Either<RewardCheckpoint, Promotion>> rewardModelsAndDecisions =
        either("reward models", rewardModels, Either::Left)
            .union(either("decisions", decisions, Either::Right));

    SingleOutputStreamOperator<Promotion> promotions =
        Edges.toOne(policies)
            .connect(Edges.toOne(rewardModelsAndDecisions))
            .transform(
                "evaluator",
                new AvroTypeInfo<>(Promotion.class),
                new EvaluationOperator(context.config(), context.bounded()))
            .uid("evaluator")
            .setParallelism(1)
            .setMaxParallelism(1);

    context.write(promotions, Topic.PROMOTIONS);
    context.writeMetrics(promotions);
  }

  private static <T> DataStream<Either<RewardCheckpoint, Promotion>> either(
      String name,
      DataStream<T> records,
      MapFunction<T, Either<RewardCheckpoint, Promotion>> side) {
    return records
        .map(side)
        .returns(
            new EitherTypeInfo<>(
                new AvroTypeInfo<>(RewardCheckpoint.class), new AvroTypeInfo<>(Promotion.class)))
        .name(name)
        .uid(name.replace(' ', '-'));
  }
}
