package io.millrace.jobs.config;

import io.millrace.model.train.LearningRate;
import java.io.Serializable;

/** Supervised fine-tuning (Llama 2, section 3.1). */
public record SupervisedSection(
    @Option(value = "64", help = "Demonstrations of one update.") int batchSize,
    @Option(value = "2e-5", help = "Peak learning rate.") double learningRate,
    @Option(
            value = "0",
            help = "Updates that the learning rate falls over, by cosine; 0 keeps it constant.")
        long scheduleSteps,
    @Option(value = "0", help = "Updates over which the learning rate rises from 0.")
        long warmupSteps,
    @Option(
            value = "2",
            help = "Passes over the demonstrations of a bounded run; an endless run makes one.")
        int epochs,
    @Option(value = "4096", help = "Longer dialogues go to dead-letters.") int maxTokens,
    @Option(value = "10000", help = "A checkpoint is published after this many demonstrations.")
        long publishEvery,
    OptimizerSection optimizer)
    implements Serializable {

  /** Where the cosine ends, as a share of the peak (Llama 2, sections 2.2 and 3.2.2). */
  private static final double FINAL_FRACTION = 0.1;

  public SupervisedSection {
    Require.atLeast("batch-size", batchSize, 1);
    Require.positive("learning-rate", learningRate);
    Require.atLeast("schedule-steps", scheduleSteps, 0);
    Require.atLeast("warmup-steps", warmupSteps, 0);
    if (scheduleSteps == 0 ? warmupSteps > 0 : warmupSteps >= scheduleSteps) {
      throw new IllegalArgumentException(
          "warmup-steps %d must be below schedule-steps %d".formatted(warmupSteps, scheduleSteps));
    }
    Require.atLeast("epochs", epochs, 1);
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
