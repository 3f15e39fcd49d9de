package io.millrace.model.reward;

import io.millrace.model.training.Checks;

/**
 * Joins the two reward models' scores into one: the safety score where the prompt is a safety
 * prompt or the response looks unsafe, the helpfulness score elsewhere (Llama 2, arXiv 2307.09288,
 * section 3.2.3): {@code R_c = R_s if IS_SAFETY(p) or R_s < threshold, else R_h}.
 *
 * <p>The paper applies the rule to probabilities R = σ(score) and then takes LOGIT(R_c). LOGIT∘σ is
 * the identity, so this class stays with the scores, which do not saturate: {@code R_s < threshold}
 * is {@code score < logit(threshold)}.
 *
 * @param threshold a safety probability below this is unsafe, in (0, 1)
 */
public record PiecewiseReward(double threshold) {

  /** Precision 0.89 and recall 0.55 on Meta's safety test set (section 3.2.3). */
  public static final double DEFAULT_THRESHOLD = 0.15;

  /** {@link #logit} keeps its argument this far from 0 and 1, so its result within ±13.8. */
  public static final double PROBABILITY_EPSILON = 1e-6;

  public PiecewiseReward {
    Checks.that(threshold > 0 && threshold < 1, "threshold", threshold, "in (0, 1)");
  }

  public static PiecewiseReward defaults() {
    return new PiecewiseReward(DEFAULT_THRESHOLD);
  }

  /** The score below which a response is unsafe: ln(threshold / (1 − threshold)). */
  public double scoreThreshold() {
    return logOdds(threshold);
  }

  /**
   * LOGIT(R_c), not yet whitened.
   *
   * @param helpfulnessScore the helpfulness reward model's score, a logit
   * @param safetyScore the safety reward model's score, a logit
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

  /**
   * ln(p / (1 − p)) of a probability from outside, clamped to [{@link #PROBABILITY_EPSILON}, 1 −
   * {@link #PROBABILITY_EPSILON}] first: such a probability may have been rounded to 0 or 1.
   *
   * @throws IllegalArgumentException if it is not in [0, 1]
   */
  public static double logit(double probability) {
    Checks.that(probability >= 0 && probability <= 1, "probability", probability, "in [0, 1]");
    return logOdds(Math.clamp(probability, PROBABILITY_EPSILON, 1 - PROBABILITY_EPSILON));
  }

  private static double logOdds(double probability) {
    return Math.log(probability) - Math.log1p(-probability);
  }
}
