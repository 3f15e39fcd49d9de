package io.millrace.jobs.preference;

import io.millrace.jobs.config.ConfigSection;
import io.millrace.jobs.config.OptimizerSection;
import io.millrace.jobs.config.Option;
import io.millrace.jobs.config.Require;
import io.millrace.model.preference.PreferenceSettings;
import io.millrace.model.preference.PreferenceSettings.Loss;
import io.millrace.model.reward.Margin;
import io.millrace.model.training.LearningRate;

/** Learning straight from judgments and feedback: DPO, IPO and KTO. */
public record PreferenceSection(
    @Option(
            value = "dpo",
            help =
                "`dpo` and `ipo` learn from judgments; `kto` learns from the topic `feedback` and"
                    + " from each response of a judgment.",
            fixed = true)
        Loss loss,
    @Option(
            value = "0.1",
            help =
                "β: how strongly the policy is held at π₀, `model.initial`. It is the paper's τ for"
                    + " `ipo`.",
            above = "0",
            max = "1e6")
        double beta,
    @Option(
            value = "none",
            help =
                "Margin of `dpo` and `ipo` for the best to the worst rating: `none` 0, `small` 1 to"
                    + " 0, `large` 3 to 0.")
        Margin margin,
    @Option(
            value = "0",
            help = "Share of the judgments that `dpo` takes to be wrong.",
            min = "0",
            below = "0.5")
        double labelSmoothing,
    @Option(
            value = "1.0",
            help = "λ_D of `kto`: weight of desirable responses.",
            min = "0",
            max = "1e6")
        double desirableWeight,
    @Option(
            value = "1.0",
            help = "λ_U of `kto`: weight of undesirable responses.",
            min = "0",
            max = "1e6")
        double undesirableWeight,
    @Option(
            value = "both",
            help =
                "Objective whose judgments and labels the policy learns from: `helpfulness`,"
                    + " `safety` or `both`.",
            fixed = true)
        LearnedObjective objective,
    @Option(
            value = "false",
            help =
                "Learns from samples of policy versions alone, not older than `max-staleness`;"
                    + " opinions about other responses are dropped and counted.")
        boolean online,
    @Option(
            value = "4",
            help =
                "Highest staleness of a response in policy versions; opinions about older responses"
                    + " are dropped and counted. Responses without a version are not stale.",
            min = "0",
            max = "1_000_000_000")
        long maxStaleness,
    @Option(
            value = "64",
            help = "Pairs of one update; with `kto`, labelled responses.",
            min = "1",
            max = "65536")
        int batchSize,
    @Option(value = "1e-6", help = "Learning rate.", min = "1e-12", max = "1") double learningRate,
    @Option(
            value = "4096",
            help =
                "Most tokens of a dialogue with its response; a model with fewer positions sets a"
                    + " lower limit.",
            min = "2",
            max = "1_048_576")
        int maxTokens,
    @Option(
            value = "true",
            help =
                "Drops the oldest turns of a dialogue that is too long, and counts it. A dialogue"
                    + " that is still too long with its last user turn alone goes to"
                    + " `dead-letters`; with false, every dialogue that is too long does.")
        boolean truncate,
    @Option(
            value = "0",
            help =
                "Pairs or labelled responses that a buffer holds back and releases in random order,"
                    + " for archives in a fixed order. In an endless stream each waits for about as"
                    + " many later ones.",
            min = "0",
            max = "10_000_000")
        int shuffleBuffer,
    @Option(
            value = "1",
            help =
                "Passes over the topics in a bounded run, each in another order; an endless run"
                    + " makes one pass.",
            min = "1",
            max = "1000")
        int epochs,
    @Option(
            value = "1024",
            help =
                "Pairs or labelled responses between two published checkpoints; each pass counts.",
            min = "1",
            max = "1_000_000_000")
        long publishEvery,
    OptimizerSection optimizer)
    implements ConfigSection {

  /** Whose judgments and labels count. */
  public enum LearnedObjective {
    /** Choices and labels for helpfulness. */
    HELPFULNESS,
    /** Choices and labels for safety. */
    SAFETY,
    /** All; an unsafe response is undesirable even where it helps. */
    BOTH
  }

  public PreferenceSection {
    Require.accepted(
        "beta, label-smoothing, desirable-weight and undesirable-weight",
        () ->
            new PreferenceSettings(loss, beta, labelSmoothing, desirableWeight, undesirableWeight));
    if (loss == Loss.KTO && margin != Margin.NONE) {
      throw new IllegalArgumentException(
          "margin belongs to dpo and ipo; kto learns from single responses, which have no rating:"
              + " leave it at none");
    }
  }

  PreferenceSettings settings() {
    return new PreferenceSettings(loss, beta, labelSmoothing, desirableWeight, undesirableWeight);
  }

  LearningRate schedule() {
    return LearningRate.constant(learningRate);
  }
}
