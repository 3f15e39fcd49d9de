package io.millrace.model.reward;

import io.millrace.model.training.Checks;

/**
 * What a response earns from an ensemble of heads, before the {@link PiecewiseReward}:
 *
 * <pre>
 * R = mean − c · σ
 * </pre>
 *
 * <p>with mean and standard deviation over the heads' anchored scores. c = 0 is mean optimisation.
 * A c above 0 is a lower confidence bound: uncertainty-weighted optimisation of Coste et al. (arXiv
 * 2310.02743, section 4.2), with the standard deviation in place of the variance, which keeps the
 * unit of the scores.
 *
 * @param coefficient c, at least 0
 */
public record EnsembleReward(double coefficient) {

  /** The mean of the heads. */
  public static final EnsembleReward MEAN = new EnsembleReward(0);

  /** What a policy learns from. */
  public enum Rule {
    /** The mean of the heads. */
    MEAN,
    /** Their lower confidence bound. */
    LCB
  }

  public EnsembleReward {
    Checks.that(
        coefficient >= 0 && Double.isFinite(coefficient),
        "lcb-coefficient",
        coefficient,
        "finite and at least 0");
  }

  /**
   * The score of a response.
   *
   * @param mean of the heads
   * @param heads score of each head; none for a model with one head
   */
  public float of(float mean, float[] heads) {
    return coefficient == 0 ? mean : (float) (mean - coefficient * deviation(heads));
  }

  /** Standard deviation over the heads, with the biased variance; 0 for one head. */
  public static double deviation(float[] heads) {
    return heads.length < 2 ? 0 : AnchoredScores.deviation(heads);
  }
}
