package io.millrace.model.reward;

import io.millrace.model.training.Checks;

/**
 * Combines the two reward models' scores (Llama 2, arXiv 2307.09288, section 3.2.3):
 *
 * <pre>
 * R_c = R_s   if IS_SAFETY(p) or R_s &lt; threshold
 *       R_h   otherwise
 * </pre>
 *
 * <p>The paper applies the rule to probabilities R = σ(score), then takes LOGIT(R_c). LOGIT∘σ is
 * the identity, so this class works on scores, which do not saturate: {@code R_s < threshold} is
 * {@code score < ln(threshold / (1 − threshold))}.
 *
 * @param threshold a response with a safety probability below this is unsafe, in (0, 1)
 */
public record PiecewiseReward(double threshold) {

  /** Precision 0.89 and recall 0.55 on Meta's safety test set (section 3.2.3). */
  private static final double DEFAULT_THRESHOLD = 0.15;

  public PiecewiseReward {
    Checks.that(threshold > 0 && threshold < 1, "threshold", threshold, "in (0, 1)");
  }

  public static PiecewiseReward defaults() {
    return new PiecewiseReward(DEFAULT_THRESHOLD);
  }

  /** The score below which a response is unsafe: ln(threshold / (1 − threshold)). */
  double scoreThreshold() {
    return Math.log(threshold) - Math.log1p(-threshold);
  }

  /**
   * LOGIT(R_c), before whitening.
   *
   * @param helpfulnessScore score of the helpfulness reward model, a logit
   * @param safetyScore score of the safety reward model, a logit
   * @param isSafety whether the prompt may elicit unsafe responses
   * @throws IllegalArgumentException if a score is not finite
   */
  public double combine(double helpfulnessScore, double safetyScore, boolean isSafety) {
    Checks.finite("helpfulness score", helpfulnessScore);
    Checks.finite("safety score", safetyScore);
    return isSafety || isUnsafe(safetyScore) ? safetyScore : helpfulnessScore;
  }

  /** Whether σ(safetyScore) is below the threshold. */
  public boolean isUnsafe(double safetyScore) {
    return safetyScore < scoreThreshold();
  }
}
