package io.millrace.model.evaluation;

import io.millrace.model.evaluation.WinRate.Interval;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * Decides whether a policy version may be served. A judge's preference is not enough, since a
 * policy can be over-optimised against its judge. Such a policy drifts from the reference, loses
 * perplexity on people's answers, changes its response length, repeats itself, or does not stop
 * (Gao et al., arXiv 2210.10760; Singhal et al., arXiv 2310.03716). The limits bound these metrics.
 *
 * <p>A metric that was not measured (NaN) breaks no limit.
 */
public record Gate(Limits limits) {

  private static final double EVEN = 0.5;

  /**
   * Limits for a version. Ratios are the version's metric divided by the baseline's.
   *
   * @param winRate the interval of the win rate against the promoted version must be above this
   * @param safetyTolerance the violation share may exceed the promoted version's by this
   * @param refusalTolerance the false refusal share may exceed the promoted version's by this
   * @param safetyViolations maximum violation share
   * @param falseRefusals maximum false refusal share
   * @param kl maximum KL, nats per response
   * @param perplexityRatio maximum ratio of perplexities
   * @param minLengthRatio minimum ratio of mean response lengths
   * @param maxLengthRatio maximum ratio of mean response lengths
   * @param distinctRatio minimum ratio of distinct unigrams and of distinct bigrams
   * @param truncated maximum share of truncated responses
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
      double truncated) {

    /** Checks that every limit is set: NaN would let every version pass. */
    public Limits {
      requireSet("winRate", winRate);
      requireSet("safetyTolerance", safetyTolerance);
      requireSet("refusalTolerance", refusalTolerance);
      requireSet("safetyViolations", safetyViolations);
      requireSet("falseRefusals", falseRefusals);
      requireSet("kl", kl);
      requireSet("perplexityRatio", perplexityRatio);
      requireSet("minLengthRatio", minLengthRatio);
      requireSet("maxLengthRatio", maxLengthRatio);
      requireSet("distinctRatio", distinctRatio);
      requireSet("truncated", truncated);
    }

    private static void requireSet(String name, double limit) {
      if (Double.isNaN(limit)) {
        throw new IllegalArgumentException("the limit " + name + " is not set");
      }
    }

    /** Begins with no limit set. */
    public static Builder builder() {
      return new Builder();
    }

    /** Limits one by one. */
    public static final class Builder {
      private double winRate = Double.NaN;
      private double safetyTolerance = Double.NaN;
      private double refusalTolerance = Double.NaN;
      private double safetyViolations = Double.NaN;
      private double falseRefusals = Double.NaN;
      private double kl = Double.NaN;
      private double perplexityRatio = Double.NaN;
      private double minLengthRatio = Double.NaN;
      private double maxLengthRatio = Double.NaN;
      private double distinctRatio = Double.NaN;
      private double truncated = Double.NaN;

      private Builder() {}

      /** The interval of the win rate against the promoted version must be above this. */
      public Builder winRate(double value) {
        this.winRate = value;
        return this;
      }

      /** The violation share may exceed the promoted version's by this. */
      public Builder safetyTolerance(double value) {
        this.safetyTolerance = value;
        return this;
      }

      /** The false refusal share may exceed the promoted version's by this. */
      public Builder refusalTolerance(double value) {
        this.refusalTolerance = value;
        return this;
      }

      /** Maximum violation share. */
      public Builder safetyViolations(double value) {
        this.safetyViolations = value;
        return this;
      }

      /** Maximum false refusal share. */
      public Builder falseRefusals(double value) {
        this.falseRefusals = value;
        return this;
      }

      /** Maximum KL, nats per response. */
      public Builder kl(double value) {
        this.kl = value;
        return this;
      }

      /** Maximum ratio of perplexities. */
      public Builder perplexityRatio(double value) {
        this.perplexityRatio = value;
        return this;
      }

      /** Minimum ratio of mean response lengths. */
      public Builder minLengthRatio(double value) {
        this.minLengthRatio = value;
        return this;
      }

      /** Maximum ratio of mean response lengths. */
      public Builder maxLengthRatio(double value) {
        this.maxLengthRatio = value;
        return this;
      }

      /** Minimum ratio of distinct unigrams and of distinct bigrams. */
      public Builder distinctRatio(double value) {
        this.distinctRatio = value;
        return this;
      }

      /** Maximum share of truncated responses. */
      public Builder truncated(double value) {
        this.truncated = value;
        return this;
      }

      /**
       * The limits.
       *
       * @throws IllegalArgumentException naming a limit that is not set
       */
      public Limits build() {
        return new Limits(
            winRate,
            safetyTolerance,
            refusalTolerance,
            safetyViolations,
            falseRefusals,
            kl,
            perplexityRatio,
            minLengthRatio,
            maxLengthRatio,
            distinctRatio,
            truncated);
      }
    }
  }

  /** The absolute limits that a version breaks, in words. */
  public List<String> absolute(VersionMetrics version) {
    List<String> reasons = new ArrayList<>();
    above(reasons, "KL to the reference in nats per response", version.kl(), limits.kl());
    above(reasons, "share of truncated responses", version.truncated(), limits.truncated());
    above(reasons, "safety violation share", version.safetyViolations(), limits.safetyViolations());
    above(reasons, "false refusal share", version.falseRefusals(), limits.falseRefusals());
    return reasons;
  }

  /** The limits on ratios to the baseline that a version breaks, in words. */
  public List<String> besideBaseline(VersionMetrics version, VersionMetrics baseline) {
    List<String> reasons = new ArrayList<>();
    above(
        reasons,
        "perplexity ratio to the baseline",
        version.perplexity() / baseline.perplexity(),
        limits.perplexityRatio());
    double length = version.responseTokens() / baseline.responseTokens();
    above(reasons, "response length ratio to the baseline", length, limits.maxLengthRatio());
    below(reasons, "response length ratio to the baseline", length, limits.minLengthRatio());
    below(
        reasons,
        "distinct unigram ratio to the baseline",
        version.distinct1() / baseline.distinct1(),
        limits.distinctRatio());
    below(
        reasons,
        "distinct bigram ratio to the baseline",
        version.distinct2() / baseline.distinct2(),
        limits.distinctRatio());
    return reasons;
  }

  /** The limits relative to a promoted version that a version breaks, in words. */
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

  /** The limit on the win rate against the promoted version, in words if it is broken. */
  public List<String> winRate(Interval against) {
    List<String> reasons = new ArrayList<>();
    if (!(against.low() > limits.winRate())) {
      reasons.add(
          text(
              "win rate against the promoted version may be as low as %.3f, which is not above"
                  + " %.3f",
              against.low(), limits.winRate()));
    }
    return reasons;
  }

  /** A reason, in words, if the served version is worse than the version before it. */
  public List<String> worse(Interval against) {
    List<String> reasons = new ArrayList<>();
    if (against.high() < EVEN) {
      reasons.add(
          text(
              "win rate against the version before is at most %.3f, which is below 0.5",
              against.high()));
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
