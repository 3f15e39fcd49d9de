package io.millrace.jobs.rejection;

import io.millrace.jobs.config.ConfigSection;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.config.OptimizerSection;
import io.millrace.jobs.config.Option;
import io.millrace.jobs.config.PolicyName;
import io.millrace.jobs.config.Require;
import io.millrace.model.training.LearningRate;
import java.util.HashSet;
import java.util.List;

/**
 * Rejection sampling (Llama 2, section 3.2.3): fine-tuning on the best of many samples. The section
 * {@code rollout} sets the token limits, nucleus sampling and the sampling batch; the section
 * {@code ppo} sets the rule that combines the scores.
 */
public record RejectionSamplingSection(
    @Option(value = "12", help = "K: responses sampled for each prompt.", min = "1", max = "256")
        int samplesPerPrompt,
    @Option(
            value = "0.8, 1.0, 1.2",
            help =
                "Temperature grid: response k of a prompt takes temperature k modulo the length of"
                    + " the grid.",
            min = "0.01",
            max = "100",
            required = true)
        List<Double> temperatures,
    @Option(
            value = "",
            help =
                "System messages that make an answer safer (context distillation). Further"
                    + " responses to each safety prompt are sampled under them. They are scored"
                    + " and learned as answers to the prompt without the message, and the best of"
                    + " all responses wins. In YAML a list; in `--set` commas separate them.")
        List<String> preprompts,
    @Option(
            value = "4",
            help =
                "Responses to each safety prompt that are sampled under `preprompts`; response j"
                    + " takes message j modulo their number, and its temperature from the grid.",
            min = "1",
            max = "256")
        int prepromptSamples,
    @Option(
            value = "new",
            help =
                "`new`: a run begins with prompts that arrived since the last run; `all`: it begins"
                    + " with the first prompt of the topic and samples again. A resumed job"
                    + " continues at its position.")
        Prompts prompts,
    @Option(
            value = "8192",
            help =
                "Prompts between two fine-tunings; a bounded run also fine-tunes at the end. Each"
                    + " one publishes a version.",
            min = "1",
            max = "1_000_000_000")
        long promptsPerVersion,
    @Option(
            value = "100_000",
            help =
                "Prompts that may wait until both reward models are announced; one more makes the"
                    + " job fail and restart. A bounded run has no limit.",
            min = "1",
            max = "1_000_000")
        int maxWaiting,
    @Option(
            value = "",
            help = "Bag file of an earlier bounded run; empty: a new run begins with an empty bag.",
            path = true)
        String bag,
    @Option(
            value = "100_000",
            help =
                "Responses that the bag holds; a full bag drops the worst safety and the worst"
                    + " other responses.",
            min = "1",
            max = "10_000_000")
        int bagCapacity,
    @Option(
            value = "all",
            help =
                "`all`: fine-tuning learns from samples of all versions; `last`: only from samples"
                    + " of the newest policy in the bag.")
        Versions versions,
    @Option(
            value = "true",
            help =
                "Scores the whole bag with the current reward models before fine-tuning; otherwise"
                    + " the job compares scores of different reward models.")
        boolean rescore,
    @Option(
            value = "0.5",
            help =
                "Share of the prompts, best reward first, whose best response is learned from; it"
                    + " applies to safety prompts and to the others separately.",
            above = "0",
            max = "1")
        double topShare,
    @Option(
            value = "latest",
            help =
                "Start of fine-tuning: `latest` is the newest policy that sampled, `initial` is"
                    + " `model.initial`.")
        StartFrom startFrom,
    @Option(
            value = "4096",
            help =
                "Tokens of a training sequence, whose examples do not attend to each other; a model"
                    + " with fewer positions sets a lower limit.",
            min = "2",
            max = "1_048_576")
        int sequenceLength,
    @Option(value = "64", help = "Training sequences of one update.", min = "1", max = "65536")
        int batchSize,
    @Option(
            value = "2e-5",
            help = "Peak learning rate; it falls by cosine to a tenth in each fine-tuning.",
            min = "1e-12",
            max = "1")
        double learningRate,
    @Option(
            value = "0.0",
            help = "Share of the updates over which the learning rate rises from 0.",
            min = "0",
            max = "1")
        double warmupFraction,
    @Option(value = "2", help = "Passes over the selected responses.", min = "1", max = "1000")
        int epochs,
    @Option(
            value = "",
            help =
                "Checkpoint of a smaller policy with the same tokenizer and chat template that"
                    + " learns from the bag instead of the policy that sampled. Every version"
                    + " starts from it.",
            path = true,
            fixed = true)
        String student,
    @Option(value = "", help = "Name under which the student is published.", fixed = true)
        String studentName,
    OptimizerSection optimizer)
    implements ConfigSection {

  /** First prompts of a run. */
  public enum Prompts {
    NEW,
    ALL
  }

  /** Policy versions whose samples are learned from. */
  public enum Versions {
    ALL,
    LAST
  }

  /** Policy that a fine-tuning starts from. */
  public enum StartFrom {
    LATEST,
    INITIAL
  }

  /** Learning rate at the end, as a share of the peak (Llama 2, sections 2.2 and 3.2.2). */
  private static final double FINAL_FRACTION = 0.1;

  public RejectionSamplingSection {
    temperatures = List.copyOf(temperatures);
    preprompts = List.copyOf(preprompts);
    if (preprompts.stream().anyMatch(String::isBlank)
        || new HashSet<>(preprompts).size() < preprompts.size()) {
      throw new IllegalArgumentException(
          "preprompts must have text and differ from each other, not " + preprompts);
    }
    if (preprompts.size() > prepromptSamples) {
      throw new IllegalArgumentException(
          "preprompts must be at most preprompt-samples %d, not %d"
              .formatted(prepromptSamples, preprompts.size()));
    }
    if (temperatures.size() > samplesPerPrompt) {
      throw new IllegalArgumentException(
          "temperatures must be at most samples-per-prompt %d, not %d"
              .formatted(samplesPerPrompt, temperatures.size()));
    }
    if (new HashSet<>(temperatures).size() < temperatures.size()) {
      throw new IllegalArgumentException(
          "temperatures must differ from each other, not " + temperatures);
    }
    Require.accepted(
        "learning-rate and warmup-fraction", () -> schedule(learningRate, warmupFraction, 1));
    if (student.isBlank() != studentName.isBlank()) {
      throw new IllegalArgumentException(
          "student and student-name must both be set or both be empty, not '%s' and '%s'"
              .formatted(student, studentName));
    }
    if (!studentName.isBlank()) {
      Require.accepted("student-name", () -> new PolicyName(studentName));
    }
  }

  @Override
  public void check(MillraceConfig config) {
    if (studentName.equals(config.model().name())) {
      throw new IllegalArgumentException(
          "rejection-sampling.student-name and model.name must differ, both are '%s'"
              .formatted(studentName));
    }
  }

  /** Responses that are sampled to a prompt at most. */
  int mostSamples() {
    return samplesPerPrompt + (preprompts.isEmpty() ? 0 : prepromptSamples);
  }

  /** Whether a smaller policy learns instead of the one that sampled. */
  public boolean hasStudent() {
    return !student.isBlank();
  }

  /**
   * The learning rate of one fine-tuning by update.
   *
   * @param updates total number of updates, at least 1
   */
  public LearningRate schedule(long updates) {
    return schedule(learningRate, warmupFraction, updates);
  }

  private static LearningRate schedule(double peak, double warmupFraction, long updates) {
    long warmup = (long) Math.ceil(warmupFraction * updates);
    return LearningRate.cosine(peak, Math.min(warmup, updates), updates, FINAL_FRACTION);
  }
}
