package io.millrace.jobs.config;

import io.millrace.model.rlhf.Margin;
import io.millrace.model.train.LearningRate;
import io.millrace.schemas.Objective;
import java.io.Serializable;
import java.time.Duration;
import java.util.List;

/** The reward models (Llama 2, section 3.2.2). */
public record RewardModelSection(
    @Option(value = "helpfulness, safety", help = "The objectives that this job trains.")
        List<Objective> objectives,
    @Option(value = "512", help = "Judgments of one update.") int batchSize,
    @Option(value = "1e-5", help = "Peak learning rate.") double learningRate,
    @Option(
            value = "0.03",
            help =
                "Share of schedule-judgments over which the learning rate rises from 0, five"
                    + " batches at least; without a schedule there is no warm-up.")
        double warmupFraction,
    @Option(value = "small", help = "Margin of the ranking loss by rating.") Margin margin,
    @Option(
            value = "1.0",
            help =
                "Weight of the safety reward model's loss on safety labels beside the ranking loss;"
                    + " 0 ignores them.")
        double labelWeight,
    @Option(value = "4096", help = "Dialogues with a longer response go to dead-letters.")
        int maxTokens,
    @Option(value = "1024", help = "A checkpoint is published after this many judgments.")
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
                    + " waits until about as many more have come.")
        int shuffleBuffer,
    @Option(
            value = "1024",
            help =
                "Judgments kept of each mixed source, to fill up batches that it brings too little"
                    + " to.")
        int replayCapacity,
    OptimizerSection optimizer,
    ObjectiveSection helpfulness,
    ObjectiveSection safety)
    implements Serializable {

  public RewardModelSection {
    if (objectives.isEmpty()) {
      throw new IllegalArgumentException("objectives must name helpfulness, safety or both");
    }
    Require.atLeast("batch-size", batchSize, 1);
    Require.positive("learning-rate", learningRate);
    Require.between("warmup-fraction", warmupFraction, 0, 1);
    Require.between("label-weight", labelWeight, 0, Double.MAX_VALUE);
    Require.atLeast("max-tokens", maxTokens, 2);
    Require.atLeast("publish-every", publishEvery, 1);
    Require.atLeast("shuffle-buffer", shuffleBuffer, 0);
    Require.atLeast("replay-capacity", replayCapacity, 0);
    requireRoom("helpfulness", helpfulness, batchSize);
    requireRoom("safety", safety, batchSize);
  }

  private static void requireRoom(String key, ObjectiveSection section, int batchSize) {
    try {
      section.ratios().quotas(batchSize);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(
          "%s.mixing: %s (batch-size)".formatted(key, e.getMessage()), e);
    }
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
