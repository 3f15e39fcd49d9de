package io.millrace.jobs;

import io.millrace.connectors.checkpoint.CheckpointSink;
import io.millrace.connectors.checkpoint.LocalCheckpoint;
import io.millrace.connectors.checkpoint.StagedCheckpoint;
import io.millrace.connectors.flink.Sources.Start;
import io.millrace.connectors.flink.Streams;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.config.RejectionSamplingSection;
import io.millrace.jobs.config.RejectionSamplingSection.Prompts;
import io.millrace.jobs.operator.Announcement;
import io.millrace.jobs.operator.AnnouncementCheck;
import io.millrace.jobs.operator.Candidates;
import io.millrace.jobs.operator.CandidatesOperator;
import io.millrace.jobs.operator.InducedFailure;
import io.millrace.jobs.operator.Outputs;
import io.millrace.jobs.operator.RejectionSamplingOperator;
import io.millrace.jobs.safety.SafetyClassifier;
import io.millrace.jobs.safety.SafetyClassifiers;
import io.millrace.model.checkpoint.CheckpointOutline;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Topic;
import java.io.IOException;
import java.io.UncheckedIOException;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/** prompts × the latest policy × the latest reward models → policy checkpoints. */
final class RejectionSamplingJob {

  private static final String JOB = "rejection-sampling";

  private RejectionSamplingJob() {}

  static void build(StreamExecutionEnvironment env, MillraceConfig config, boolean bounded) {
    KafkaSettings kafka = JobSettings.kafka(config);
    RejectionSamplingSection section = config.rejectionSampling();
    requireUsable(config);

    DataStream<Prompt> prompts =
        JobInputs.prompts(
            env,
            config,
            JOB,
            section.prompts() == Prompts.ALL ? Start.EARLIEST : Start.COMMITTED,
            bounded);

    DataStream<Candidates> candidates =
        Edges.toAny(prompts)
            .connect(
                Edges.toAll(
                    announcements(env, config, bounded),
                    config.flink().parallelism(),
                    "announcements"))
            .transform(
                "candidates",
                TypeInformation.of(Candidates.class),
                new CandidatesOperator(config, bounded))
            .uid("candidates");

    SingleOutputStreamOperator<StagedCheckpoint> checkpoints =
        Edges.toOne(
                InducedFailure.insert(
                    candidates, section.failAtPrompt(), "rejection-sampling.fail-at-prompt"))
            .transform(
                "rejection sampling trainer",
                TypeInformation.of(StagedCheckpoint.class),
                new RejectionSamplingOperator(config))
            .uid("rejection-sampling-trainer")
            .setParallelism(1)
            .setMaxParallelism(1);

    CheckpointSink.attach(
        checkpoints, kafka, JobSettings.store(config), JobSettings.retention(config), JOB);
    Streams.write(checkpoints.getSideOutput(Outputs.METRICS), kafka, Topic.TRAINING_METRICS, JOB);
  }

  /** Policies of this name, and reward models. */
  private static DataStream<Announcement> announcements(
      StreamExecutionEnvironment env, MillraceConfig config, boolean bounded) {
    KafkaSettings kafka = JobSettings.kafka(config);
    String model = config.model().name();
    DataStream<Announcement> policies =
        Streams.read(
                env,
                kafka,
                Topic.POLICY_CHECKPOINTS,
                JOB,
                Start.EARLIEST,
                JobSettings.bound(bounded),
                AnnouncementCheck.policies(config))
            .filter(policy -> policy.getModel().equals(model))
            .name("policies named " + model)
            .uid("own-policies")
            .map(Announcement::of)
            .returns(Announcement.class)
            .name("policy announcements")
            .uid("policy-announcements");
    return Streams.read(
            env,
            kafka,
            Topic.REWARD_CHECKPOINTS,
            JOB,
            Start.EARLIEST,
            JobSettings.bound(bounded),
            AnnouncementCheck.rewardModels(config))
        .map(Announcement::of)
        .returns(Announcement.class)
        .name("reward model announcements")
        .uid("reward-model-announcements")
        .union(policies);
  }

  /** What cannot work is told here and not by a failing job. */
  private static void requireUsable(MillraceConfig config) {
    SafetyClassifier _ = SafetyClassifiers.of(config.ppo());
    RejectionSamplingSection section = config.rejectionSampling();
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
    String bag = config.rejectionSampling().bag();
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
