package io.millrace.jobs.rewardmodel;

import io.millrace.connectors.checkpoint.StagedCheckpoint;
import io.millrace.connectors.flink.source.Sources.Start;
import io.millrace.jobs.config.ConfigSection;
import io.millrace.jobs.models.Opinion;
import io.millrace.jobs.ppo.PpoSection;
import io.millrace.jobs.runtime.Edges;
import io.millrace.jobs.runtime.JobContext;
import io.millrace.jobs.runtime.Outputs;
import io.millrace.schemas.Feedback;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Lineage;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Provenance;
import io.millrace.schemas.Topic;
import io.millrace.schemas.TrainingMetrics;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Clock;
import java.util.List;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;

/** Job reward-model: judgments → checkpoints of the helpfulness and safety reward models. */
public final class RewardModelJob {

  /** Configuration sections of the job, beside the shared sections. */
  public static final List<Class<? extends ConfigSection>> SECTIONS =
      List.of(RewardModelSection.class, AnnotatorSection.class, PpoSection.class);

  private RewardModelJob() {}

  public static void build(JobContext context) {
    RewardModelSection section = context.section(RewardModelSection.class);
    for (Objective objective : section.objectives()) {
      try {
        var _ = JudgmentFile.anchors(context.config(), objective);
        var _ = GoldTasks.read(context.config(), objective);
      } catch (IOException e) {
        throw new UncheckedIOException(e.getMessage(), e);
      }
    }
    // Parallelism 1 keeps the order of a topic with one partition.
    DataStream<Judgment> judgments =
        context.readOnce(Topic.JUDGMENTS, Start.EARLIEST, new JudgmentCheck(context.config()), 1);
    DataStream<Feedback> feedback =
        section.feedback() && section.objectives().contains(Objective.SAFETY)
            ? context.readOnce(
                Topic.FEEDBACK,
                Start.EARLIEST,
                JudgmentCheck.lengths(context.config()).feedback(),
                1)
            : null;

    DataStream<StagedCheckpoint> checkpoints = null;
    DataStream<TrainingMetrics> metrics = null;
    DataStream<Lineage> lineage = null;
    for (Objective objective : section.objectives()) {
      for (boolean judge : section.kinds()) {
        SingleOutputStreamOperator<StagedCheckpoint> trained =
            train(
                context,
                judgments,
                objective == Objective.SAFETY ? feedback : null,
                objective,
                judge);
        DataStream<TrainingMetrics> trainedMetrics =
            trained.getSideOutput(Outputs.METRICS).union(trained.getSideOutput(Outputs.ANNOTATORS));
        checkpoints = checkpoints == null ? trained : checkpoints.union(trained);
        metrics = metrics == null ? trainedMetrics : metrics.union(trainedMetrics);
        DataStream<Lineage> learned = trained.getSideOutput(Outputs.LINEAGE);
        lineage = lineage == null ? learned : lineage.union(learned);
      }
    }

    context.publish(checkpoints);
    context.write(metrics, Topic.TRAINING_METRICS);
    context.write(lineage, Topic.LINEAGE);
  }

  /**
   * @param feedback whose safety labels the model learns; null for none
   */
  private static SingleOutputStreamOperator<StagedCheckpoint> train(
      JobContext context,
      DataStream<Judgment> judgments,
      DataStream<Feedback> feedback,
      Objective objective,
      boolean judge) {
    String name = RewardModelOperator.job(objective, judge);
    RewardModelSection section = context.section(RewardModelSection.class);
    JudgmentSources sources = new JudgmentSources(objective, section.of(objective).ratios());
    DataStream<Opinion> opinions =
        judgments
            .filter(
                judgment ->
                    sources.keyOf(judgment).isPresent()
                        && section.learns(judge, judgment.getJudgmentId()))
            .name(name + " judgments")
            .uid(name + "-judgments")
            .setParallelism(1)
            .map(Opinion::of)
            .returns(TypeInformation.of(Opinion.class))
            .name(name + " opinions of judgments")
            .uid(name + "-opinions-judgments")
            .setParallelism(1);
    if (feedback != null) {
      opinions =
          opinions.union(
              feedback
                  .filter(
                      one ->
                          // A revision may take the label back.
                          (LabelledResponses.isLabelled(one) || Provenance.of(one).revision() > 0)
                              && section.learns(judge, one.getFeedbackId()))
                  .name(name + " feedback")
                  .uid(name + "-feedback")
                  .setParallelism(1)
                  .map(Opinion::of)
                  .returns(TypeInformation.of(Opinion.class))
                  .name(name + " opinions of feedback")
                  .uid(name + "-opinions-feedback")
                  .setParallelism(1));
    }
    // A separate task for each reward model: neither waits for the other's training.
    return Edges.toOne(opinions)
        .transform(
            name + " trainer",
            TypeInformation.of(StagedCheckpoint.class),
            context.withdrawing(
                new RewardModelOperator(context.config(), objective, judge, Clock.systemUTC())))
        .uid(name + "-trainer")
        .setParallelism(1)
        .setMaxParallelism(1);
  }
}
