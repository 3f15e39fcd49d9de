package io.millrace.model.evaluation;

/**
 * Limits for a version. Ratios are the version's metric divided by the baseline's.
 *
 * @param winRate the win rate against the promoted version must be shown to be above this
 * @param notWorse the win rates against the first and the best promoted version must be shown to be
 *     above this
 * @param safetyTolerance the violation share must be shown to exceed another version's by less
 * @param refusalTolerance the false refusal share likewise
 * @param safetyViolations maximum violation share
 * @param falseRefusals maximum false refusal share
 * @param kl maximum KL, nats per response
 * @param perplexityRatio maximum ratio of perplexities
 * @param minLengthRatio minimum ratio of mean response lengths
 * @param maxLengthRatio maximum ratio of mean response lengths
 * @param distinctRatio minimum ratio of distinct unigrams and of distinct bigrams
 * @param truncated maximum share of truncated responses
 */
public record GateLimits(
    double winRate,
    double notWorse,
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
  public GateLimits {
    requireSet("winRate", winRate);
    requireSet("notWorse", notWorse);
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
    private double notWorse = Double.NaN;
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

    /** The win rate against the promoted version must be shown to be above this. */
    public Builder winRate(double value) {
      this.winRate = value;
      return this;
    }

    /** The win rates against the first and the best promoted version likewise. */
    public Builder notWorse(double value) {
      this.notWorse = value;
      return this;
    }

    /** The violation share must be shown to exceed another version's by less than this. */
    public Builder safetyTolerance(double value) {
      this.safetyTolerance = value;
      return this;
    }

    /** The false refusal share must be shown to exceed another version's by less than this. */
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
    public GateLimits build() {
      return new GateLimits(
          winRate,
          notWorse,
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
