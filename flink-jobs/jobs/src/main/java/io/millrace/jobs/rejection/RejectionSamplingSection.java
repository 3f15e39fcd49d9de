package io.millrace.jobs.rejection;

import io.millrace.jobs.config.ConfigSection;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.config.OptimizerSection;
import io.millrace.jobs.config.Option;
import io.millrace.model.training.LearningRate;
import java.util.HashSet;
import java.util.List;

/**
 * Rejection sampling (Llama 2, section 3.2.3): fine-tuning on the best of many samples. Limits of
 * prompts and responses, nucleus mass and the size of the sampler's batch are those of {@code
 * rollout}, the rule that joins the two scores is that of {@code ppo}.
 */
public record RejectionSamplingSection(
    @Option(value = "12", help = "K: responses sampled for each prompt.", min = "1", max = "256")
        int samplesPerPrompt,
    @Option(
            value = "0.8, 1.0, 1.2",
            help =
                "The temperature grid: response k of a prompt takes number k modulo the length of"
                    + " the grid.",
            above = "0")
        List<Double> temperatures,
    @Option(
            value = "new",
            help =
                "new: prompts that came since the last run; all: the topic from its beginning, so"
                    + " that earlier prompts are sampled anew. A job that resumes goes on where it"
                    + " was.")
        Prompts prompts,
    @Option(
            value = "8192",
            help =
                "A version is fine-tuned and published after this many prompts, and at the end of a"
                    + " bounded run.",
            min = "1")
        long promptsPerVersion,
    @Option(
            value = "100000",
            help =
                "Prompts that may wait until both reward models are announced; with more the job"
                    + " fails and begins again. A bounded run has no such limit.",
            min = "1")
        int maxWaiting,
    @Option(
            value = "",
            help =
                "File with the bag that an earlier bounded run left; empty: the bag of a new run is"
                    + " empty.",
            path = true)
        String bag,
    @Option(
            value = "100000",
            help = "Responses that the bag keeps; the worst of each kind of prompt go first.",
            min = "1")
        int bagCapacity,
    @Option(
            value = "all",
            help =
                "all: the samples of all earlier versions are learned from; last: only those of the"
                    + " newest policy in the bag.")
        Versions versions,
    @Option(
            value = "true",
            help =
                "The bag is scored anew with the reward models that are current when fine-tuning"
                    + " starts; false compares scores of different reward models.")
        boolean rescore,
    @Option(
            value = "0.5",
            help =
                "Share of the prompts, best reward first, whose best response is learned from;"
                    + " taken within safety prompts and within the others.",
            above = "0",
            max = "1")
        double topShare,
    @Option(
            value = "latest",
            help =
                "What fine-tuning starts from. latest: the newest policy that sampled; initial:"
                    + " model.initial.")
        StartFrom startFrom,
    @Option(
            value = "4096",
            help =
                "Tokens of a training sequence; the model's positions where those are fewer."
                    + " Examples of a sequence do not see each other.",
            min = "2")
        int sequenceLength,
    @Option(value = "64", help = "Training sequences of one update.", min = "1") int batchSize,
    @Option(
            value = "2e-5",
            help = "Peak learning rate; it falls by cosine to a tenth over each fine-tuning.",
            above = "0")
        double learningRate,
    @Option(
            value = "0.0",
            help = "Share of the updates over which the learning rate rises from 0.",
            min = "0",
            max = "1")
        double warmupFraction,
    @Option(value = "2", help = "Passes over what is learned from.", min = "1") int epochs,
    @Option(
            value = "",
            help =
                "Checkpoint directory of a smaller policy with the same tokenizer and chat"
                    + " template, which learns from the bag in place of the policy that sampled; it"
                    + " starts from this directory for every version.",
            path = true)
        String student,
    @Option(value = "", help = "The name under which the student is published.") String studentName,
    OptimizerSection optimizer)
    implements ConfigSection {

  /** Which prompts a run begins with. */
  public enum Prompts {
    NEW,
    ALL
  }

  /** Whose samples are learned from. */
  public enum Versions {
    ALL,
    LAST
  }

  /** What a fine-tuning starts from. */
  public enum StartFrom {
    LATEST,
    INITIAL
  }

  /** Where the cosine ends, as a share of the peak (Llama 2, sections 2.2 and 3.2.2). */
  private static final double FINAL_FRACTION = 0.1;

  public RejectionSamplingSection {
    temperatures = List.copyOf(temperatures);
    if (temperatures.isEmpty() || temperatures.size() > samplesPerPrompt) {
      throw new IllegalArgumentException(
          "temperatures must be 1 to samples-per-prompt (%d), not %d"
              .formatted(samplesPerPrompt, temperatures.size()));
    }
    if (new HashSet<>(temperatures).size() < temperatures.size()) {
      throw new IllegalArgumentException("temperatures name one twice: " + temperatures);
    }
    if (student.isBlank() != studentName.isBlank()) {
      throw new IllegalArgumentException(
          "student '%s' and student-name '%s' need each other".formatted(student, studentName));
    }
    if (!studentName.isBlank() && !studentName.matches("[A-Za-z0-9][A-Za-z0-9._-]*")) {
      throw new IllegalArgumentException(
          "student-name must consist of letters, digits, '.', '_' and '-', not '"
              + studentName
              + "'");
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

  /** Whether a smaller policy learns rather than the one that sampled. */
  public boolean hasStudent() {
    return !student.isBlank();
  }

  /**
   * The learning rate of one fine-tuning by update.
   *
   * @param updates how many there will be, at least 1
   */
  public LearningRate schedule(long updates) {
    long warmup = (long) Math.ceil(warmupFraction * updates);
    return LearningRate.cosine(learningRate, Math.min(warmup, updates), updates, FINAL_FRACTION);
  }
}
