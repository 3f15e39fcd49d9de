package io.millrace.jobs.rejection;

import io.millrace.connectors.checkpoint.StagedCheckpoint;
import io.millrace.connectors.checkpoint.store.LocalCheckpoint;
import io.millrace.connectors.flink.source.Sources.Start;
import io.millrace.jobs.config.ConfigSection;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.Announcement;
import io.millrace.jobs.models.AnnouncementCheck;
import io.millrace.jobs.models.Withhold;
import io.millrace.jobs.ppo.PpoSection;
import io.millrace.jobs.rejection.RejectionSamplingSection.Prompts;
import io.millrace.jobs.rollout.PolicySampler;
import io.millrace.jobs.rollout.RolloutSection;
import io.millrace.jobs.runtime.Edges;
import io.millrace.jobs.runtime.JobContext;
import io.millrace.jobs.runtime.JobSettings;
import io.millrace.jobs.safety.SafetyClassifier;
import io.millrace.model.checkpoint.CheckpointOutline;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Topic;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;

/** Prompts × the latest policy × the latest reward models → policy checkpoints. */
public final class RejectionSamplingJob {

  /** The sections that the job reads beside the shared ones. */
  public static final List<Class<? extends ConfigSection>> SECTIONS =
      List.of(RejectionSamplingSection.class, RolloutSection.class, PpoSection.class);

  private RejectionSamplingJob() {}

  public static void build(JobContext context) {
    RejectionSamplingSection section = context.section(RejectionSamplingSection.class);
    requireUsable(context.config());

    DataStream<Prompt> prompts =
        Withhold.from(
            context.readOnce(
                Topic.PROMPTS,
                section.prompts() == Prompts.ALL ? Start.EARLIEST : Start.COMMITTED,
                PolicySampler.lengthCheck(context.config()),
                context.parallelism()),
            Topic.PROMPTS,
            context.section(PpoSection.class).heldOutShare(),
            Prompt::getDialogue);

    DataStream<Candidates> candidates =
        Edges.toAny(prompts)
            .connect(Edges.toAll(announcements(context), context.parallelism(), "announcements"))
            .transform(
                "candidates",
                TypeInformation.of(Candidates.class),
                context.withdrawing(new CandidatesOperator(context.config(), context.bounded())))
            .uid("candidates");

    SingleOutputStreamOperator<StagedCheckpoint> checkpoints =
        Edges.toOne(context.tapped("rejection-sampling-trainer", candidates))
            .transform(
                "rejection sampling trainer",
                TypeInformation.of(StagedCheckpoint.class),
                context.withdrawing(new RejectionSamplingOperator(context.config())))
            .uid("rejection-sampling-trainer")
            .setParallelism(1)
            .setMaxParallelism(1);

    context.publish(checkpoints);
    context.writeMetrics(checkpoints);
    context.writeLineage(checkpoints);
  }

  /** Policies of this model's name, and reward models. */
  private static DataStream<Announcement> announcements(JobContext context) {
    String model = context.config().model().name();
    RolloutSection rollout = context.section(RolloutSection.class);
    DataStream<Announcement> policies =
        context
            .read(Topic.POLICY_CHECKPOINTS, AnnouncementCheck.policies(context.config()))
            .filter(
                policy -> policy.getModel().equals(model) && rollout.follows(policy.getVersion()))
            .name("policies named " + model)
            .uid("own-policies")
            .map(Announcement::of)
            .returns(Announcement.class)
            .name("policy announcements")
            .uid("policy-announcements");
    return context
        .read(Topic.REWARD_CHECKPOINTS, AnnouncementCheck.rewardModels(context.config()))
        .filter(rewardModel -> !rewardModel.getJudge())
        .name("reward models to optimise")
        .uid("reward-models-to-optimise")
        .map(Announcement::of)
        .returns(Announcement.class)
        .name("reward model announcements")
        .uid("reward-model-announcements")
        .union(policies);
  }

  /** Refuses what cannot work where the job is submitted. */
  private static void requireUsable(MillraceConfig config) {
    PolicySampler.requireRoom(config);
    SafetyClassifier _ = config.section(PpoSection.class).classifier();
    RejectionSamplingSection section = config.section(RejectionSamplingSection.class);
    Preprompts.requireFit(config);
    if (section.hasStudent()) {
      try {
        Students.requireUsable(
            section.student(), config.model().initial(), JobSettings.cache(config));
      } catch (IOException e) {
        throw new UncheckedIOException(
            "rejection-sampling.student cannot be read: " + e.getMessage(), e);
      }
    }
    if (!section.bag().isBlank()) {
      requireBagFits(config);
    }
  }

  private static void requireBagFits(MillraceConfig config) {
    String bag = config.section(RejectionSamplingSection.class).bag();
    try (LocalCheckpoint model =
        JobSettings.cache(config).openDescription(config.model().initial())) {
      BagFile.requireFits(BagFile.read(bag), CheckpointOutline.read(model.directory()).config());
    } catch (IOException e) {
      throw new UncheckedIOException("rejection-sampling.bag cannot be read: " + e.getMessage(), e);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(
          "rejection-sampling.bag %s: %s".formatted(bag, e.getMessage()), e);
    }
  }
}
