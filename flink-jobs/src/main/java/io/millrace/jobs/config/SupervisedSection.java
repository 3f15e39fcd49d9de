package io.millrace.jobs.config;

import io.millrace.model.train.Concatenation;
import io.millrace.model.train.LearningRate;
import java.io.Serializable;

/** Supervised fine-tuning (Llama 2, section 3.1) and continued pretraining. */
public record SupervisedSection(
    @Option(
            value = "",
            help =
                "JSON Lines file to learn from, once per epoch, in place of the topic; every task"
                    + " manager must see it. Empty: the topic demonstrations.")
        String file,
    @Option(
            value = "4096",
            help =
                "Tokens of a training sequence, which examples are concatenated to fill; the"
                    + " model's positions where those are fewer. Longer dialogues go to"
                    + " dead-letters, longer texts are cut.")
        int sequenceLength,
    @Option(
            value = "packed",
            help =
                "packed: examples of a sequence do not see each other; cross-attending: they do, as"
                    + " in the paper's plain concatenation.")
        Concatenation concatenate,
    @Option(
            value = "answers",
            help =
                "answers: only the assistant's turns are learned; all-tokens: everything, as in"
                    + " pretraining, and plain texts too.")
        LearnedTokens loss,
    @Option(value = "64", help = "Training sequences of one update.") int batchSize,
    @Option(value = "2e-5", help = "Peak learning rate.") double learningRate,
    @Option(
            value = "0",
            help = "Updates that the learning rate falls over, by cosine; 0 keeps it constant.")
        long scheduleSteps,
    @Option(value = "0", help = "Updates over which the learning rate rises from 0.")
        long warmupSteps,
    @Option(
            value = "2",
            help =
                "Passes over the file, or over the topic of a bounded run; an endless run makes"
                    + " one.")
        int epochs,
    @Option(
            value = "10000",
            help = "A checkpoint is published after this many demonstrations, passes counted.")
        long publishEvery,
    @Option(
            value = "0",
            help =
                "Fails the job once when this demonstration passes, to watch it recover; 0 never.")
        long failAtDemonstration,
    OptimizerSection optimizer)
    implements Serializable {

  /** Which tokens of an example are learned. */
  public enum LearnedTokens {
    ANSWERS,
    ALL_TOKENS
  }

  /** Where the cosine ends, as a share of the peak (Llama 2, sections 2.2 and 3.2.2). */
  private static final double FINAL_FRACTION = 0.1;

  public SupervisedSection {
    Require.atLeast("sequence-length", sequenceLength, 2);
    Require.atLeast("batch-size", batchSize, 1);
    Require.positive("learning-rate", learningRate);
    Require.atLeast("schedule-steps", scheduleSteps, 0);
    Require.atLeast("warmup-steps", warmupSteps, 0);
    if (scheduleSteps == 0 ? warmupSteps > 0 : warmupSteps >= scheduleSteps) {
      throw new IllegalArgumentException(
          "warmup-steps %d must be below schedule-steps %d".formatted(warmupSteps, scheduleSteps));
    }
    Require.atLeast("epochs", epochs, 1);
    Require.atLeast("publish-every", publishEvery, 1);
    Require.atLeast("fail-at-demonstration", failAtDemonstration, 0);
  }

  /** Whether demonstrations come from a file rather than from the topic. */
  public boolean fromFile() {
    return !file.isBlank();
  }

  /** The learning rate by update. */
  public LearningRate schedule() {
    return scheduleSteps == 0
        ? LearningRate.constant(learningRate)
        : LearningRate.cosine(learningRate, warmupSteps, scheduleSteps, FINAL_FRACTION);
  }

  SupervisedSection withFile(String path) {
    return new SupervisedSection(
        path,
        sequenceLength,
        concatenate,
        loss,
        batchSize,
        learningRate,
        scheduleSteps,
        warmupSteps,
        epochs,
        publishEvery,
        failAtDemonstration,
        optimizer);
  }
}
