package io.millrace.model.rlhf;

/**
 * Which reward model a response is judged by (Llama 2, arXiv 2307.09288, section 3.2.3): R_c = R_s
 * where the prompt is a safety one or R_s is below the threshold, else R_h; then LOGIT(R_c).
 *
 * <p>R = σ(score), and LOGIT∘σ is the identity: working on the scores themselves nothing saturates.
 *
 * @param threshold of R_s, 0.15 in the paper
 */
public record PiecewiseReward(double threshold) {

  public static final double PAPER_THRESHOLD = 0.15;

  /** Probabilities from outside are kept this far from 0 and 1, so that their logits are finite. */
  private static final double PROBABILITY_MARGIN = 1e-6;

  public PiecewiseReward {
    if (!(threshold >= 0 && threshold <= 1)) {
      throw new IllegalArgumentException("threshold must be in [0, 1], not " + threshold);
    }
  }

  /** LOGIT(R_c), from the two reward models' scores. */
  public double combine(double helpfulnessScore, double safetyScore, boolean isSafety) {
    return isSafety || safetyScore < Math.log(threshold / (1 - threshold))
        ? safetyScore
        : helpfulnessScore;
  }

  /** The logit of a probability that came from outside, clamped so that it is finite. */
  public static double logit(double probability) {
    if (!(probability >= 0 && probability <= 1)) {
      throw new IllegalArgumentException("a probability is in [0, 1], not " + probability);
    }
    double p = Math.clamp(probability, PROBABILITY_MARGIN, 1 - PROBABILITY_MARGIN);
    return Math.log(p / (1 - p));
  }
}
