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
            value = "0",
            help = "Updates that the rate falls over to a tenth, by cosine; 0 keeps it constant.")
        long scheduleSteps,
    @Option(value = "0", help = "Updates over which the learning rate rises from 0.")
        long warmupSteps,
    @Option(value = "small", help = "Margin of the ranking loss by rating.") Margin margin,
    @Option(
            value = "1.0",
            help = "Weight of the loss on safety labels beside the ranking loss; 0 ignores them.")
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
    OptimizerSection optimizer)
    implements Serializable {

  /** Where the cosine ends, as a share of the peak (Llama 2, sections 2.2 and 3.2.2). */
  private static final double FINAL_FRACTION = 0.1;

  public RewardModelSection {
    if (objectives.isEmpty()) {
      throw new IllegalArgumentException("objectives must name helpfulness, safety or both");
    }
    Require.atLeast("batch-size", batchSize, 1);
    Require.positive("learning-rate", learningRate);
    Require.atLeast("schedule-steps", scheduleSteps, 0);
    Require.atLeast("warmup-steps", warmupSteps, 0);
    if (scheduleSteps == 0 ? warmupSteps > 0 : warmupSteps >= scheduleSteps) {
      throw new IllegalArgumentException(
          "warmup-steps %d must be below schedule-steps %d".formatted(warmupSteps, scheduleSteps));
    }
    Require.between("label-weight", labelWeight, 0, Double.MAX_VALUE);
    Require.atLeast("max-tokens", maxTokens, 2);
    Require.atLeast("publish-every", publishEvery, 1);
  }

  /** The learning rate by update. */
  public LearningRate schedule() {
    return scheduleSteps == 0
        ? LearningRate.constant(learningRate)
        : LearningRate.cosine(learningRate, warmupSteps, scheduleSteps, FINAL_FRACTION);
  }
}
