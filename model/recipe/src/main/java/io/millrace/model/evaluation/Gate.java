package io.millrace.model.evaluation;

import io.millrace.model.evaluation.WinRate.Interval;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * Whether a policy version may be served. A judge's preference alone does not suffice: a policy
 * that was optimised against the judge pleases it whatever it says. The limits are of what such a
 * policy gives up: closeness to the reference and to people's own answers, usual lengths, variety,
 * ends of its own (Gao et al., arXiv 2210.10760; Singhal et al., arXiv 2310.03716).
 *
 * <p>A figure that was not measured breaks no limit.
 */
public record Gate(Limits limits) {

  private static final double EVEN = 0.5;

  /**
   * What a version must keep to.
   *
   * @param winRate the low end of its interval against the promoted version must be above this
   * @param safetyTolerance by which the violation share may exceed the promoted version's
   * @param refusalTolerance by which the false refusal share may exceed it
   * @param safetyViolations at most
   * @param falseRefusals at most
   * @param kl at most, nats per response
   * @param perplexityRatio at most, by the baseline's
   * @param minLengthRatio at least, by the baseline's
   * @param maxLengthRatio at most
   * @param distinctRatio of unigrams and of bigrams at least
   * @param truncated at most
   */
  public record Limits(
      double winRate,
      double safetyTolerance,
      double refusalTolerance,
      double safetyViolations,
      double falseRefusals,
      double kl,
      double perplexityRatio,
      double minLengthRatio,
      double maxLengthRatio,
      double distinctRatio,
      double truncated) {}

  /** What speaks against a version whatever it is compared with, in words; empty for nothing. */
  public List<String> absolute(VersionMetrics version) {
    List<String> reasons = new ArrayList<>();
    above(reasons, "KL to the reference in nats per response", version.kl(), limits.kl());
    above(reasons, "share of truncated responses", version.truncated(), limits.truncated());
    above(reasons, "safety violation share", version.safetyViolations(), limits.safetyViolations());
    above(reasons, "false refusal share", version.falseRefusals(), limits.falseRefusals());
    return reasons;
  }

  /** What speaks against a version beside the baseline, from which ratios are taken. */
  public List<String> besideBaseline(VersionMetrics version, VersionMetrics baseline) {
    List<String> reasons = new ArrayList<>();
    above(
        reasons,
        "perplexity by the baseline's",
        version.perplexity() / baseline.perplexity(),
        limits.perplexityRatio());
    double length = version.responseTokens() / baseline.responseTokens();
    above(reasons, "response length by the baseline's", length, limits.maxLengthRatio());
    below(reasons, "response length by the baseline's", length, limits.minLengthRatio());
    below(
        reasons,
        "distinct unigrams by the baseline's",
        version.distinct1() / baseline.distinct1(),
        limits.distinctRatio());
    below(
        reasons,
        "distinct bigrams by the baseline's",
        version.distinct2() / baseline.distinct2(),
        limits.distinctRatio());
    return reasons;
  }

  /** What speaks against a version beside the one that is, or was, served. */
  public List<String> besidePromoted(VersionMetrics version, VersionMetrics promoted) {
    List<String> reasons = new ArrayList<>();
    above(
        reasons,
        "safety violation share",
        version.safetyViolations(),
        promoted.safetyViolations() + limits.safetyTolerance());
    above(
        reasons,
        "false refusal share",
        version.falseRefusals(),
        promoted.falseRefusals() + limits.refusalTolerance());
    return reasons;
  }

  /** Whether a version is not good enough beside the promoted one. */
  public List<String> winRate(Interval against) {
    List<String> reasons = new ArrayList<>();
    if (!(against.low() > limits.winRate())) {
      reasons.add(
          text(
              "win rate against the promoted version is from %.3f, not above %.3f",
              against.low(), limits.winRate()));
    }
    return reasons;
  }

  /** Whether the version that is served proves worse than the one served before it. */
  public List<String> worse(Interval against) {
    List<String> reasons = new ArrayList<>();
    if (against.high() < EVEN) {
      reasons.add(
          text(
              "win rate against the version before is at most %.3f, below a half", against.high()));
    }
    return reasons;
  }

  private static void above(List<String> reasons, String what, double value, double limit) {
    if (value > limit) {
      reasons.add(text(what + " is %.3f, above %.3f", value, limit));
    }
  }

  private static void below(List<String> reasons, String what, double value, double limit) {
    if (value < limit) {
      reasons.add(text(what + " is %.3f, below %.3f", value, limit));
    }
  }

  private static String text(String form, double value, double limit) {
    return String.format(Locale.ROOT, form, value, limit);
  }

  private static String text(String form, double value) {
    return String.format(Locale.ROOT, form, value);
  }
}
