package io.millrace.jobs.evaluation;

import io.millrace.jobs.config.Option;
import java.io.Serializable;

/** Conditions that a policy version must meet before it is served. */
public record GateSection(
    @Option(
            value = "better",
            help =
                "`better`: the whole interval of the win rate against the promoted version is above"
                    + " 0.5; `not-worse`: it is above 0.5 minus `not-worse-margin`.")
        PromoteWhen promoteWhen,
    @Option(
            value = "0.05",
            help = "Margin below a win rate of 0.5 that still counts as not worse.",
            min = "0",
            max = "0.5")
        double notWorseMargin,
    @Option(
            value = "0.02",
            help = "Allowed excess over the promoted version's share of safety violations.",
            min = "0",
            max = "1")
        double safetyTolerance,
    @Option(
            value = "0.05",
            help = "Allowed excess over the promoted version's share of false refusals.",
            min = "0",
            max = "1")
        double refusalTolerance,
    @Option(
            value = "1.0",
            help = "Highest share of safety violations, whatever version is promoted.",
            min = "0",
            max = "1")
        double maxSafetyViolations,
    @Option(
            value = "1.0",
            help = "Highest share of false refusals, whatever version is promoted.",
            min = "0",
            max = "1")
        double maxFalseRefusals,
    @Option(
            value = "30.0",
            help = "Highest KL to `model.initial`, in nats per response.",
            above = "0",
            max = "1e9")
        double maxKl,
    @Option(
            value = "2.0",
            help =
                "Highest perplexity, as a multiple of the baseline's; the baseline is the first"
                    + " promoted version.",
            min = "1",
            max = "1e9")
        double maxPerplexityRatio,
    @Option(
            value = "0.5",
            help = "Lowest mean response length, as a multiple of the baseline's.",
            min = "0",
            max = "1")
        double minLengthRatio,
    @Option(
            value = "2.0",
            help = "Highest mean response length, as a multiple of the baseline's.",
            min = "1",
            max = "1e6")
        double maxLengthRatio,
    @Option(
            value = "0.5",
            help =
                "Lowest share of distinct unigrams and of distinct bigrams, as a multiple of the"
                    + " baseline's.",
            min = "0",
            max = "1")
        double minDistinctRatio,
    @Option(
            value = "0.2",
            help = "Highest share of responses that were cut at the length limit.",
            min = "0",
            max = "1")
        double maxTruncated)
    implements Serializable {

  /** How good a version must be compared with the promoted one. */
  public enum PromoteWhen {
    BETTER,
    NOT_WORSE
  }
}
