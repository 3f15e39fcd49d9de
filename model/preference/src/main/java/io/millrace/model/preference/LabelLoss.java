package io.millrace.model.preference;

import io.millrace.model.reward.Logistic;
import io.millrace.model.training.Checks;

/**
 * KTO's loss at one labelled response (arXiv 2402.01306, equations 6 to 8), by r = log(π(y|x) /
 * π_0(y|x)), the sum over the response's tokens.
 *
 * @param loss 0 to λ
 * @param slope derivative with respect to r
 */
public record LabelLoss(double loss, double slope) {

  /**
   * λ − v, with v = λ_D·σ(β(r − z_0)) for a desirable response and λ_U·σ(β(z_0 − r)) for an
   * undesirable one.
   *
   * @param logRatio r
   * @param referencePoint z_0, through which no gradient flows ({@link #referencePoint})
   * @param beta β, above 0
   * @param desirable whether the response is desirable
   * @param weight λ_D or λ_U, at least 0
   * @throws IllegalArgumentException if an argument is out of range
   */
  public static LabelLoss kto(
      double logRatio, double referencePoint, double beta, boolean desirable, double weight) {
    Checks.finite("log-ratio", logRatio);
    Checks.that(
        referencePoint >= 0 && Double.isFinite(referencePoint),
        "reference point",
        referencePoint,
        "finite and at least 0");
    PairLoss.checkBeta(beta);
    Checks.that(weight >= 0 && Double.isFinite(weight), "weight", weight, "finite and at least 0");
    double sign = desirable ? 1 : -1;
    double x = sign * beta * (logRatio - referencePoint);
    // 1 − σ(x) = σ(−x), without the rounding of the difference.
    double loss = weight * Logistic.sigmoid(-x);
    return new LabelLoss(loss, -sign * beta * loss * Logistic.sigmoid(x));
  }

  /**
   * z_0, the estimate of KL(π‖π_0) from prompts with responses to other prompts: the mean of their
   * log-ratios, and not below 0. It is 0 where there is none.
   *
   * @param logRatios of the mismatched pairs
   */
  public static double referencePoint(double[] logRatios) {
    double sum = 0;
    for (double logRatio : logRatios) {
      Checks.finite("log-ratio of a mismatched pair", logRatio);
      sum += logRatio / logRatios.length;
    }
    return Math.max(0, sum);
  }
}
