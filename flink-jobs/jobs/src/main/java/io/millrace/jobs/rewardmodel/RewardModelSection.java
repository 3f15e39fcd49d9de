package io.millrace.jobs.rewardmodel;

import io.millrace.jobs.config.ConfigSection;
import io.millrace.jobs.config.OptimizerSection;
import io.millrace.jobs.config.Option;
import io.millrace.jobs.config.Require;
import io.millrace.model.reward.Margin;
import io.millrace.model.training.LearningRate;
import io.millrace.schemas.Objective;
import java.time.Duration;
import java.util.List;

/** The reward models (Llama 2, section 3.2.2). */
public record RewardModelSection(
    @Option(value = "helpfulness, safety", help = "The objectives that this job trains.")
        List<Objective> objectives,
    @Option(value = "512", help = "Judgments of one update.", min = "1") int batchSize,
    @Option(value = "1e-5", help = "Peak learning rate.", above = "0") double learningRate,
    @Option(
            value = "0.03",
            help =
                "Share of schedule-judgments over which the learning rate rises from 0, five"
                    + " batches at least; without a schedule there is no warm-up.",
            min = "0",
            max = "1")
        double warmupFraction,
    @Option(value = "small", help = "Margin of the ranking loss by rating.") Margin margin,
    @Option(
            value = "1.0",
            help =
                "Weight of the safety reward model's loss on safety labels beside the ranking loss;"
                    + " 0 ignores them.",
            min = "0")
        double labelWeight,
    @Option(
            value = "4096",
            help = "Dialogues with a longer response go to dead-letters.",
            min = "2")
        int maxTokens,
    @Option(
            value = "1024",
            help = "A checkpoint is published after this many judgments.",
            min = "1")
        long publishEvery,
    @Option(
            value = "0ms",
            help =
                "A batch that stays incomplete this long is learned from as it is; 0ms waits."
                    + " Waiting keeps a run reproducible bit for bit.")
        Duration maxWait,
    @Option(
            value = "0",
            help =
                "Judgments of an objective that are kept back, to be learned from in random order:"
                    + " for archives, which are in an order of their own. In an endless stream each"
                    + " waits until about as many more have come.",
            min = "0")
        int shuffleBuffer,
    @Option(
            value = "1024",
            help =
                "Judgments kept of each mixed source, to fill up batches that it brings too little"
                    + " to.",
            min = "0")
        int replayCapacity,
    OptimizerSection optimizer,
    ObjectiveSection helpfulness,
    ObjectiveSection safety)
    implements ConfigSection {

  public RewardModelSection {
    if (objectives.isEmpty()) {
      throw new IllegalArgumentException("objectives must name helpfulness, safety or both");
    }
    Require.accepted(
        "helpfulness.mixing (with batch-size)", () -> helpfulness.ratios().quotas(batchSize));
    Require.accepted("safety.mixing (with batch-size)", () -> safety.ratios().quotas(batchSize));
  }

  /** What the reward model of an objective learns from. */
  public ObjectiveSection of(Objective objective) {
    return switch (objective) {
      case HELPFULNESS -> helpfulness;
      case SAFETY -> safety;
    };
  }

  /** The learning rate by judgments learned from. */
  public LearningRate schedule(Objective objective) {
    long judgments = of(objective).scheduleJudgments();
    return judgments == 0
        ? LearningRate.constant(learningRate)
        : LearningRate.rewardModel(learningRate, judgments, batchSize, warmupFraction);
  }
}
