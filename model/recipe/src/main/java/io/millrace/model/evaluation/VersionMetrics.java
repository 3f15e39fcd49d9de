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
