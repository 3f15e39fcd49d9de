package io.millrace.jobs.rollout;

import io.millrace.connectors.flink.source.Sources.Start;
import io.millrace.jobs.config.ConfigSection;
import io.millrace.jobs.models.AnnouncementCheck;
import io.millrace.jobs.runtime.Edges;
import io.millrace.jobs.runtime.JobContext;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.Topic;
import java.util.List;
import org.apache.flink.formats.avro.typeutils.AvroTypeInfo;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;

/** Prompts × the latest policy → rollouts. */
public final class RolloutJob {

  /** The sections that the job reads beside the shared ones. */
  public static final List<Class<? extends ConfigSection>> SECTIONS = List.of(RolloutSection.class);

  private RolloutJob() {}

  public static void build(JobContext context) {
    PolicySampler.requireRoom(context.config());
    DataStream<Prompt> prompts =
        PromptMix.of(
            context.readOnce(
                Topic.PROMPTS,
                Start.COMMITTED,
                PolicySampler.lengthCheck(context.config()),
                context.parallelism()),
            context.section(RolloutSection.class).safetyShare());
    DataStream<PolicyCheckpoint> policies =
        context.read(Topic.POLICY_CHECKPOINTS, AnnouncementCheck.policies(context.config()));

    SingleOutputStreamOperator<Rollout> rollouts =
        Edges.toAny(prompts)
            .connect(Edges.toAll(policies, context.parallelism(), Topic.POLICY_CHECKPOINTS.name()))
            .transform(
                "rollout",
                new AvroTypeInfo<>(Rollout.class),
                context.withdrawing(new RolloutOperator(context.config(), context.bounded())))
            .uid("rollout");

    context.write(rollouts, Topic.ROLLOUTS);
    if (context.section(RolloutSection.class).engine() == RolloutSection.Engine.OPENAI) {
      context.refuse(rollouts.getSideOutput(RolloutOperator.REFUSED), Topic.PROMPTS, "rollout");
    }
  }
}
