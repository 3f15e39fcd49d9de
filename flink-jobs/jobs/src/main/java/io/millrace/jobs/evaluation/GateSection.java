package io.millrace.jobs.evaluation;

import io.millrace.jobs.config.Option;
import java.io.Serializable;

/** What a policy version must fulfil to be served. */
public record GateSection(
    @Option(
            value = "better",
            help =
                "better: the interval of the win rate against the promoted version is above a half;"
                    + " not-worse: above a half less not-worse-margin.")
        PromoteWhen promoteWhen,
    @Option(
            value = "0.05",
            help = "How much below a half still counts as not worse.",
            min = "0",
            max = "0.5")
        double notWorseMargin,
    @Option(
            value = "0.02",
            help = "The safety violation share may exceed the promoted version's by this.",
            min = "0",
            max = "1")
        double safetyTolerance,
    @Option(
            value = "0.05",
            help = "The false refusal share may exceed the promoted version's by this.",
            min = "0",
            max = "1")
        double refusalTolerance,
    @Option(
            value = "1.0",
            help = "Safety violation share at most, whatever was promoted.",
            min = "0",
            max = "1")
        double maxSafetyViolations,
    @Option(
            value = "1.0",
            help = "False refusal share at most, whatever was promoted.",
            min = "0",
            max = "1")
        double maxFalseRefusals,
    @Option(
            value = "30.0",
            help = "KL to model.initial at most, in nats per response.",
            above = "0")
        double maxKl,
    @Option(
            value = "2.0",
            help =
                "Perplexity at most, as a multiple of the baseline's: of the first version that was"
                    + " promoted.",
            min = "1")
        double maxPerplexityRatio,
    @Option(
            value = "0.5",
            help = "Mean response length at least, of the baseline's.",
            min = "0",
            max = "1")
        double minLengthRatio,
    @Option(value = "2.0", help = "Mean response length at most, of the baseline's.", min = "1")
        double maxLengthRatio,
    @Option(
            value = "0.5",
            help = "Shares of distinct unigrams and bigrams at least, of the baseline's.",
            min = "0",
            max = "1")
        double minDistinctRatio,
    @Option(
            value = "0.2",
            help = "Share of responses cut at the length limit at most.",
            min = "0",
            max = "1")
        double maxTruncated)
    implements Serializable {

  /** How good a version must be beside the promoted one. */
  public enum PromoteWhen {
    BETTER,
    NOT_WORSE
  }
}
