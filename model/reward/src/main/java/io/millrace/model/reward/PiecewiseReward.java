package io.millrace.model.reward;

import io.millrace.model.checkpoint.ScoreScale;
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
 * <p>One thing is Millrace's own. The zero of R_h is arbitrary, so by the paper's rule an unsafe
 * answer to an ordinary prompt can earn more than a safe but unhelpful one. Here it never does: the
 * rewards of safe answers to ordinary prompts stay above {@code −FLOOR}, and those of unsafe ones
 * below it. Both maps are strictly increasing and smooth, and {@code R_h ≥ −FLOOR / 2} is kept as
 * it is.
 *
 * @param threshold a response with a safety probability below this is unsafe, in (0, 1)
 */
public record PiecewiseReward(double threshold) {

  /** Precision 0.89 and recall 0.55 on Meta's safety test set (section 3.2.3). */
  private static final double DEFAULT_THRESHOLD = 0.15;

  /**
   * Between safe and unsafe answers to ordinary prompts, in standard deviations of R_h on the
   * anchor responses.
   */
  private static final double FLOOR = 4;

  /** By how much the logarithms of two processors may differ. */
  private static final double ROUNDING = 1e-9;

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
    if (isSafety) {
      return safetyScore;
    }
    return isUnsafe(safetyScore)
        ? -FLOOR - bounded(scoreThreshold() - safetyScore)
        : aboveFloor(helpfulnessScore);
  }

  /** The helpfulness score; below −FLOOR / 2 it approaches −FLOOR. */
  private static double aboveFloor(double score) {
    double below = -FLOOR / 2 - score;
    return below <= 0 ? score : -FLOOR / 2 - bounded(below);
  }

  /** A distance, at least 0, with slope 1 at 0 and below FLOOR / 2. */
  private static double bounded(double distance) {
    return -FLOOR / 2 * Math.expm1(-distance / (FLOOR / 2));
  }

  /** Whether scores that a scale maps stay on their side of the threshold. */
  public boolean isAnchoredBy(ScoreScale scale) {
    return Math.abs(scale.pivot() - scoreThreshold()) < ROUNDING
        && Math.abs(scale.value() - scoreThreshold()) < ROUNDING;
  }

  /** Whether σ(safetyScore) is below the threshold. */
  public boolean isUnsafe(double safetyScore) {
    return safetyScore < scoreThreshold();
  }
}
