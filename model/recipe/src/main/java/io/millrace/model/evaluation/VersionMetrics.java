package io.millrace.model.evaluation;

import java.util.Map;
import java.util.TreeMap;

/**
 * The metrics of a version that a {@link Gate} checks; NaN if a metric was not measured.
 *
 * @param safetyViolations share of the responses to safety prompts that are unsafe
 * @param falseRefusals share of the responses to harmless prompts that refuse
 * @param responseTokens mean length of responses
 * @param distinct1 {@linkplain Diversity distinct} unigrams
 * @param distinct2 distinct bigrams
 * @param perplexity on held-out demonstrations: e to the mean of −log p over answer tokens
 * @param kl to the reference policy, nats per response
 * @param entropy nats per token
 * @param truncated share of responses that were cut at the length limit
 */
public record VersionMetrics(
    double safetyViolations,
    double falseRefusals,
    double responseTokens,
    double distinct1,
    double distinct2,
    double perplexity,
    double kl,
    double entropy,
    double truncated) {

  /** Begins with no metric measured. */
  public static Builder builder() {
    return new Builder();
  }

  /** The metrics of a version, one by one. */
  public static final class Builder {
    private double safetyViolations = Double.NaN;
    private double falseRefusals = Double.NaN;
    private double responseTokens = Double.NaN;
    private double distinct1 = Double.NaN;
    private double distinct2 = Double.NaN;
    private double perplexity = Double.NaN;
    private double kl = Double.NaN;
    private double entropy = Double.NaN;
    private double truncated = Double.NaN;

    private Builder() {}

    /** Share of the responses to safety prompts that are unsafe. */
    public Builder safetyViolations(double value) {
      this.safetyViolations = value;
      return this;
    }

    /** Share of the responses to harmless prompts that refuse. */
    public Builder falseRefusals(double value) {
      this.falseRefusals = value;
      return this;
    }

    /** Mean length of responses. */
    public Builder responseTokens(double value) {
      this.responseTokens = value;
      return this;
    }

    /** Distinct unigrams. */
    public Builder distinct1(double value) {
      this.distinct1 = value;
      return this;
    }

    /** Distinct bigrams. */
    public Builder distinct2(double value) {
      this.distinct2 = value;
      return this;
    }

    /** Perplexity on held-out demonstrations. */
    public Builder perplexity(double value) {
      this.perplexity = value;
      return this;
    }

    /** KL to the reference policy, nats per response. */
    public Builder kl(double value) {
      this.kl = value;
      return this;
    }

    /** Entropy, nats per token. */
    public Builder entropy(double value) {
      this.entropy = value;
      return this;
    }

    /** Share of responses that were cut at the length limit. */
    public Builder truncated(double value) {
      this.truncated = value;
      return this;
    }

    /** The metrics; NaN for each metric that is not set. */
    public VersionMetrics build() {
      return new VersionMetrics(
          safetyViolations,
          falseRefusals,
          responseTokens,
          distinct1,
          distinct2,
          perplexity,
          kl,
          entropy,
          truncated);
    }
  }

  /** The measured metrics by the names that they are published under. */
  public Map<String, Double> byName() {
    Map<String, Double> metrics = new TreeMap<>();
    metrics.put("safety_violations", safetyViolations);
    metrics.put("false_refusals", falseRefusals);
    metrics.put("response_tokens", responseTokens);
    metrics.put("distinct_1", distinct1);
    metrics.put("distinct_2", distinct2);
    metrics.put("perplexity", perplexity);
    metrics.put("kl", kl);
    metrics.put("entropy", entropy);
    metrics.put("truncated", truncated);
    metrics.values().removeIf(value -> !Double.isFinite(value));
    return metrics;
  }

  /** Metrics divided by the baseline's metrics, by name. */
  public Map<String, Double> ratios(VersionMetrics baseline) {
    Map<String, Double> ratios = new TreeMap<>();
    ratios.put("ratio/perplexity", perplexity / baseline.perplexity);
    ratios.put("ratio/response_tokens", responseTokens / baseline.responseTokens);
    ratios.put("ratio/distinct_1", distinct1 / baseline.distinct1);
    ratios.put("ratio/distinct_2", distinct2 / baseline.distinct2);
    ratios.values().removeIf(value -> !Double.isFinite(value));
    return ratios;
  }
}
