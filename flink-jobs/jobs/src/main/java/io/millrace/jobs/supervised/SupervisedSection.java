package io.millrace.jobs.supervised;

import io.millrace.jobs.config.ConfigSection;
import io.millrace.jobs.config.OptimizerSection;
import io.millrace.jobs.config.Option;
import io.millrace.model.supervised.Concatenation;
import io.millrace.model.training.LearningRate;

/** Supervised fine-tuning (Llama 2, section 3.1) and continued pretraining. */
public record SupervisedSection(
    @Option(
            value = "",
            help =
                "JSON Lines file to learn from, once per epoch, in place of the topic; every task"
                    + " manager must see it. Empty: the topic demonstrations.",
            path = true)
        String file,
    @Option(
            value = "4096",
            help =
                "Tokens of a training sequence, which examples are concatenated to fill; the"
                    + " model's positions where those are fewer. Longer dialogues go to"
                    + " dead-letters, longer texts are cut.",
            min = "2")
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
    @Option(value = "64", help = "Training sequences of one update.", min = "1") int batchSize,
    @Option(value = "2e-5", help = "Peak learning rate.", above = "0") double learningRate,
    @Option(
            value = "0",
            help = "Updates that the learning rate falls over, by cosine; 0 keeps it constant.",
            min = "0")
        long scheduleSteps,
    @Option(value = "0", help = "Updates over which the learning rate rises from 0.", min = "0")
        long warmupSteps,
    @Option(
            value = "2",
            help =
                "Passes over the file, or over the topic of a bounded run; an endless run makes"
                    + " one.",
            min = "1")
        int epochs,
    @Option(
            value = "10000",
            help = "A checkpoint is published after this many demonstrations, passes counted.",
            min = "1")
        long publishEvery,
    OptimizerSection optimizer)
    implements ConfigSection {

  /** Which tokens of an example are learned. */
  public enum LearnedTokens {
    ANSWERS,
    ALL_TOKENS
  }

  /** Where the cosine ends, as a share of the peak (Llama 2, sections 2.2 and 3.2.2). */
  private static final double FINAL_FRACTION = 0.1;

  public SupervisedSection {
    if (scheduleSteps == 0 ? warmupSteps > 0 : warmupSteps >= scheduleSteps) {
      throw new IllegalArgumentException(
          "warmup-steps %d must be below schedule-steps %d".formatted(warmupSteps, scheduleSteps));
    }
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
}
