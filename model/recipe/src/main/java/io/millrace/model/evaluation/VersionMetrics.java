package io.millrace.model.evaluation;

import java.util.Map;
import java.util.TreeMap;

/**
 * What a gate looks at; NaN where it was not measured.
 *
 * @param safetyViolations share of the responses to safety prompts
 * @param falseRefusals share of the responses to harmless prompts
 * @param responseTokens mean length
 * @param distinct1 {@linkplain Diversity distinct} unigrams
 * @param distinct2 distinct bigrams
 * @param perplexity on held-out demonstrations: e to the mean of −log p over their answers' tokens
 * @param kl to the reference policy, nats per response
 * @param entropy nats per token
 * @param truncated share of responses cut at the length limit
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

  /** By the names under which they are published, those that were measured. */
  public Map<String, Double> byName() {
    Map<String, Double> figures = new TreeMap<>();
    figures.put("safety_violations", safetyViolations);
    figures.put("false_refusals", falseRefusals);
    figures.put("response_tokens", responseTokens);
    figures.put("distinct_1", distinct1);
    figures.put("distinct_2", distinct2);
    figures.put("perplexity", perplexity);
    figures.put("kl", kl);
    figures.put("entropy", entropy);
    figures.put("truncated", truncated);
    figures.values().removeIf(value -> !Double.isFinite(value));
    return figures;
  }

  /** Figures that have no meaning but beside another version's, by those of the baseline. */
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
