package io.millrace.jobs.supervised;

import io.millrace.jobs.config.ConfigSection;
import io.millrace.jobs.config.OptimizerSection;
import io.millrace.jobs.config.Option;
import io.millrace.jobs.config.Require;
import io.millrace.model.supervised.Concatenation;
import io.millrace.model.training.LearningRate;

/** Supervised fine-tuning (Llama 2, section 3.1) and continued pretraining. */
public record SupervisedSection(
    @Option(
            value = "",
            help =
                "JSON Lines file to learn from, once per epoch, instead of the topic; every task"
                    + " manager must see it. If it is empty, the job reads the topic"
                    + " `demonstrations`.",
            path = true,
            local = true,
            fixed = true)
        String file,
    @Option(
            value = "4096",
            help =
                "Tokens of a training sequence, into which the job concatenates examples; a model"
                    + " with fewer positions sets a lower limit. Longer texts are cut.",
            min = "2",
            max = "1_048_576")
        int sequenceLength,
    @Option(
            value = "true",
            help =
                "Drops the oldest turns of a dialogue that is longer than a training sequence, and"
                    + " counts it. A dialogue whose last user and assistant turn are still too long"
                    + " goes to `dead-letters`; with false, every dialogue that is too long does.")
        boolean truncate,
    @Option(
            value = "packed",
            help =
                "`packed`: the examples of a sequence do not attend to each other;"
                    + " `cross-attending`: they do, as with the paper's plain concatenation.")
        Concatenation concatenate,
    @Option(
            value = "answers",
            help =
                "`answers`: the loss covers the assistant's turns only; `all-tokens`: it covers all"
                    + " tokens, as in pretraining, and plain texts are allowed.")
        LearnedTokens loss,
    @Option(value = "64", help = "Training sequences of one update.", min = "1", max = "65536")
        int batchSize,
    @Option(value = "2e-5", help = "Peak learning rate.", min = "1e-12", max = "1")
        double learningRate,
    @Option(
            value = "0",
            help =
                "Updates over which the learning rate falls by cosine to a tenth; 0 keeps it"
                    + " constant.",
            min = "0",
            max = "1_000_000_000")
        long scheduleSteps,
    @Option(
            value = "0",
            help =
                "Updates over which the learning rate rises from 0 to its peak; needs"
                    + " `schedule-steps`.",
            min = "0",
            max = "999_999_999")
        long warmupSteps,
    @Option(
            value = "2",
            help =
                "Passes over the file, or over the topic in a bounded run; an endless run makes one"
                    + " pass.",
            min = "1",
            max = "1000")
        int epochs,
    @Option(
            value = "10000",
            help =
                "Demonstrations between two published checkpoints; each pass over a file counts.",
            min = "1",
            max = "1_000_000_000")
        long publishEvery,
    OptimizerSection optimizer)
    implements ConfigSection {

  /** Tokens that the loss covers. */
  public enum LearnedTokens {
    ANSWERS,
    ALL_TOKENS
  }

  /** Learning rate at the end of the schedule, as a share of the peak (Llama 2, section 2.2). */
  private static final double FINAL_FRACTION = 0.1;

  public SupervisedSection {
    if (scheduleSteps == 0 ? warmupSteps > 0 : warmupSteps >= scheduleSteps) {
      throw new IllegalArgumentException(
          "warmup-steps must be below schedule-steps, not %d with %d"
              .formatted(warmupSteps, scheduleSteps));
    }
    Require.accepted(
        "learning-rate, warmup-steps and schedule-steps",
        () -> schedule(learningRate, warmupSteps, scheduleSteps));
  }

  /** Whether demonstrations come from a file, not from the topic. */
  public boolean fromFile() {
    return !file.isBlank();
  }

  /** The learning rate by update. */
  public LearningRate schedule() {
    return schedule(learningRate, warmupSteps, scheduleSteps);
  }

  private static LearningRate schedule(double peak, long warmupSteps, long scheduleSteps) {
    return scheduleSteps == 0
        ? LearningRate.constant(peak)
        : LearningRate.cosine(peak, warmupSteps, scheduleSteps, FINAL_FRACTION);
  }
}
