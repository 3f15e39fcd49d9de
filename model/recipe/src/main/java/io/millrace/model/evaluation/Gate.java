package io.millrace.model.evaluation;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.Supplier;

/**
 * Decides whether a policy version may be served. A judge's preference is not enough, since a
 * policy can be over-optimised against its judge. Such a policy drifts from the reference, loses
 * perplexity on people's answers, changes its response length, repeats itself, or does not stop
 * (Gao et al., arXiv 2210.10760; Singhal et al., arXiv 2310.03716). The limits bound these metrics.
 *
 * <p>Win rates and shares of labels are compared by tests that hold at every look ({@link
 * EProcess}), never by point estimates. A metric that was not measured holds the version, unless
 * its limit is at the end of its range, where no value breaks it.
 */
public record Gate(GateLimits limits) {

  private static final double EVEN = 0.5;

  /** A ratio or distance of this or more is no limit. */
  private static final double UNBOUNDED_RATIO = 1e6;

  private static final double UNBOUNDED = 1e9;

  private static final String SAFETY = "unsafe responses to safety prompts";
  private static final String ORDINARY = "unsafe responses to ordinary prompts";
  private static final String REFUSALS = "refusals of ordinary prompts";

  /** What stands against a version. */
  public enum Status {
    /** A limit is broken. */
    BROKEN,
    /** The comparisons so far do not show whether a limit is kept. */
    UNDECIDED,
    /** A metric was not measured. */
    MISSING
  }

  /**
   * A limit that a version does not keep.
   *
   * @param metric the metric's name
   * @param words the reason, made when it is asked for: its numbers take longer than the test
   */
  public record Finding(Status status, String metric, Supplier<String> words) {

    /** The reason in words. */
    public String reason() {
      return words.get();
    }
  }

  /** The fixed limits on KL and truncation that a version does not keep. */
  public List<Finding> absolute(VersionMetrics version) {
    List<Finding> findings = new ArrayList<>();
    if (limits.kl() < UNBOUNDED) {
      atMost(findings, "kl", "KL to the reference in nats per response", version.kl(), limits.kl());
    }
    if (limits.truncated() < 1) {
      atMost(
          findings,
          "truncated",
          "share of truncated responses",
          version.truncated(),
          limits.truncated());
    }
    return findings;
  }

  /** Whether no fixed limit speaks against a version as the baseline of others. */
  public boolean suitsAsBaseline(VersionMetrics version) {
    return !(version.kl() > limits.kl()
        || version.truncated() > limits.truncated()
        || version.safetyViolations() > limits.safetyViolations()
        || version.falseRefusals() > limits.falseRefusals());
  }

  /** The limits on ratios to the baseline that a version does not keep. */
  public List<Finding> besideBaseline(VersionMetrics version, VersionMetrics baseline) {
    List<Finding> findings = new ArrayList<>();
    if (limits.perplexityRatio() < UNBOUNDED) {
      atMost(
          findings,
          "ratio/perplexity",
          "perplexity ratio to the baseline",
          version.perplexity() / baseline.perplexity(),
          limits.perplexityRatio());
    }
    double length = version.responseTokens() / baseline.responseTokens();
    String lengthName = "ratio/response_tokens";
    String lengthRatio = "response length ratio to the baseline";
    if (limits.maxLengthRatio() < UNBOUNDED_RATIO) {
      atMost(findings, lengthName, lengthRatio, length, limits.maxLengthRatio());
    }
    if (limits.minLengthRatio() > 0
        && (limits.maxLengthRatio() >= UNBOUNDED_RATIO || !Double.isNaN(length))) {
      atLeast(findings, lengthName, lengthRatio, length, limits.minLengthRatio());
    }
    if (limits.distinctRatio() > 0) {
      atLeast(
          findings,
          "ratio/distinct_1",
          "distinct unigram ratio to the baseline",
          version.distinct1() / baseline.distinct1(),
          limits.distinctRatio());
      atLeast(
          findings,
          "ratio/distinct_2",
          "distinct bigram ratio to the baseline",
          version.distinct2() / baseline.distinct2(),
          limits.distinctRatio());
    }
    return findings;
  }

  /**
   * The fixed limits on shares of labels that a version is not shown to keep.
   *
   * @param own counts of the version alone
   * @param alpha level of each one-sided limit
   */
  public List<Finding> shares(LabelCounts own, double alpha) {
    List<Finding> findings = new ArrayList<>();
    if (limits.safetyViolations() < 1) {
      double most = limits.safetyViolations();
      share(findings, "safety_violations", "share of " + SAFETY, own.safety(), most, alpha);
      share(findings, "ordinary_violations", "share of " + ORDINARY, own.ordinary(), most, alpha);
    }
    if (limits.falseRefusals() < 1) {
      share(
          findings,
          "false_refusals",
          "share of " + REFUSALS,
          own.refusals(),
          limits.falseRefusals(),
          alpha);
    }
    return findings;
  }

  private static void share(
      List<Finding> findings, String metric, String what, WinRate own, double most, double alpha) {
    if (own.isEmpty()) {
      findings.add(missing(metric, what));
    } else if (own.isAbove(most, alpha)) {
      findings.add(
          new Finding(
              Status.BROKEN,
              metric,
              () -> text(what + " is at least %.3f, above %.3f", own.interval(alpha).low(), most)));
    } else if (!own.isBelow(most, alpha)) {
      findings.add(
          new Finding(
              Status.UNDECIDED,
              metric,
              () ->
                  text(
                      what + " may be as high as %.3f, which is above %.3f",
                      own.interval(alpha).high(),
                      most)));
    }
  }

  /**
   * The limits relative to another version's labels that a version is not shown to keep.
   *
   * @param whom the other version, in words
   * @param beside counts beside the other version
   * @param refusals whether the limit on refusals applies
   * @param alpha level of each one-sided limit
   */
  public List<Finding> beside(String whom, LabelCounts beside, boolean refusals, double alpha) {
    List<Finding> findings = new ArrayList<>();
    if (limits.safetyTolerance() < 1) {
      double most = limits.safetyTolerance();
      excess(findings, "safety_violations", SAFETY, whom, beside.safety(), most, alpha);
      excess(findings, "ordinary_violations", ORDINARY, whom, beside.ordinary(), most, alpha);
    }
    if (refusals && limits.refusalTolerance() < 1) {
      excess(
          findings,
          "false_refusals",
          REFUSALS,
          whom,
          beside.refusals(),
          limits.refusalTolerance(),
          alpha);
    }
    return findings;
  }

  /** A difference of shares d is 1 − 2·rate of the counts beside the other version. */
  private static void excess(
      List<Finding> findings,
      String metric,
      String what,
      String whom,
      WinRate beside,
      double most,
      double alpha) {
    if (beside.isEmpty()) {
      findings.add(missing(metric, "share of " + what + " beside " + whom));
      return;
    }
    double limit = EVEN - most / 2;
    if (beside.isBelow(limit, alpha)) {
      findings.add(
          new Finding(
              Status.BROKEN,
              metric,
              () ->
                  text(
                      "share of "
                          + what
                          + " exceeds that of "
                          + whom
                          + " by at least %.3f, above %.3f",
                      1 - 2 * beside.interval(alpha).high(),
                      most)));
    } else if (!beside.isAbove(limit, alpha)) {
      findings.add(
          new Finding(
              Status.UNDECIDED,
              metric,
              () ->
                  text(
                      "share of "
                          + what
                          + " may exceed that of "
                          + whom
                          + " by %.3f, which is above %.3f",
                      1 - 2 * beside.interval(alpha).low(),
                      most)));
    }
  }

  /** The limit on the win rate against the promoted version, if it is not shown to be kept. */
  public Optional<Finding> better(String whom, WinRate rate, double alpha) {
    return winRate("win_rate/promoted", whom, rate, limits.winRate(), alpha);
  }

  /**
   * The limit on the win rate against the first or the best promoted version, if it is not shown to
   * be kept.
   *
   * @param metric the win rate's name
   */
  public Optional<Finding> notWorse(String metric, String whom, WinRate rate, double alpha) {
    return winRate(metric, whom, rate, limits.notWorse(), alpha);
  }

  private static Optional<Finding> winRate(
      String metric, String whom, WinRate rate, double least, double alpha) {
    if (rate.isEmpty()) {
      return Optional.of(missing(metric, "win rate against " + whom));
    }
    if (rate.isAbove(least, alpha)) {
      return Optional.empty();
    }
    return Optional.of(
        rate.isBelow(least, alpha)
            ? new Finding(
                Status.BROKEN,
                metric,
                () ->
                    text(
                        "win rate against " + whom + " is at most %.3f, which is below %.3f",
                        rate.interval(alpha).high(),
                        least))
            : new Finding(
                Status.UNDECIDED,
                metric,
                () ->
                    text(
                        "win rate against "
                            + whom
                            + " may be as low as %.3f, which is not above %.3f",
                        rate.interval(alpha).low(),
                        least)));
  }

  /**
   * What shows that the served version must be withdrawn; empty without proof. The tests share the
   * level: if the served version is not worse, the chance of any finding at any look is at most
   * {@code alpha}.
   *
   * @param whom the version served before, in words
   * @param rate of the served version against it; empty if the judge was not asked
   * @param beside labels beside it
   */
  public List<Finding> withdrawal(String whom, WinRate rate, LabelCounts beside, double alpha) {
    boolean safety = limits.safetyTolerance() < 1;
    boolean refusals = limits.refusalTolerance() < 1;
    double each = alpha / (1 + (safety ? 2 : 0) + (refusals ? 1 : 0));
    List<Finding> findings = new ArrayList<>(beside(whom, beside, true, each));
    if (!rate.isEmpty()) {
      winRate("win_rate/before", whom, rate, EVEN, each).ifPresent(findings::add);
    }
    findings.removeIf(finding -> finding.status() != Status.BROKEN);
    return findings;
  }

  private static void atMost(
      List<Finding> findings, String metric, String what, double value, double limit) {
    if (Double.isNaN(value)) {
      findings.add(missing(metric, what));
    } else if (value > limit) {
      findings.add(
          new Finding(
              Status.BROKEN, metric, () -> text(what + " is %.3f, above %.3f", value, limit)));
    }
  }

  private static void atLeast(
      List<Finding> findings, String metric, String what, double value, double limit) {
    if (Double.isNaN(value)) {
      findings.add(missing(metric, what));
    } else if (value < limit) {
      findings.add(
          new Finding(
              Status.BROKEN, metric, () -> text(what + " is %.3f, below %.3f", value, limit)));
    }
  }

  private static Finding missing(String metric, String what) {
    return new Finding(Status.MISSING, metric, () -> what + " was not measured");
  }

  private static String text(String form, double value, double limit) {
    return String.format(Locale.ROOT, form, value, limit);
  }
}
