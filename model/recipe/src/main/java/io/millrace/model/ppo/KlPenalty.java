package io.millrace.model.ppo;

import io.millrace.model.training.Checks;

/**
 * Per-token rewards of a response: {@code r_t = −β·kl_t}, plus the response's scalar reward R̃_c on
 * the last token (Llama 2, arXiv 2307.09288, section 3.2.3, R = R̃_c − β·KL(π_θ‖π_0), spread over
 * tokens as in Ouyang et al., arXiv 2203.02155, appendix C).
 *
 * @param estimator of the KL of a token
 * @param truncationPenalty taken from the scalar reward of a response that was cut at the length
 *     limit, at least 0; in whitened rewards 1 is one standard deviation
 */
public record KlPenalty(KlEstimator estimator, double truncationPenalty) {

  public static final KlEstimator DEFAULT_ESTIMATOR = KlEstimator.K1;

  /** The paper gives none; without one a policy learns to run into the length limit. */
  public static final double DEFAULT_TRUNCATION_PENALTY = 1.0;

  public KlPenalty {
    if (estimator == null) {
      throw new IllegalArgumentException("a KL penalty needs an estimator: K1, K2 or K3");
    }
    Checks.that(
        truncationPenalty >= 0 && Double.isFinite(truncationPenalty),
        "truncationPenalty",
        truncationPenalty,
        "finite and at least 0");
  }

  public static KlPenalty defaults() {
    return new KlPenalty(DEFAULT_ESTIMATOR, DEFAULT_TRUNCATION_PENALTY);
  }

  /**
   * The rewards of one response's tokens, {@code [tokens]}.
   *
   * @param logProbs of the response's tokens under the proximal policy, in nats, {@code [tokens]};
   *     without decoupled PPO that is the policy that sampled them
   * @param referenceLogProbs of the same tokens under the reference policy, in nats, {@code
   *     [tokens]}
   * @param reward the whitened scalar reward of the response
   * @param truncated whether the response was cut at the length limit, without a stop token
   * @param beta weight of the KL, at least 0 ({@link KlController#beta})
   * @throws IllegalArgumentException if the response is empty, lengths differ or a number is not
   *     finite
   */
  public double[] rewards(
      float[] logProbs, float[] referenceLogProbs, double reward, boolean truncated, double beta) {
    if (logProbs.length == 0) {
      throw new IllegalArgumentException("a response without tokens has no last token to reward");
    }
    Checks.sameLength("reference log-probs", referenceLogProbs.length, logProbs.length);
    Checks.finite("reward", reward);
    Checks.that(beta >= 0 && Double.isFinite(beta), "beta", beta, "finite and at least 0");
    double[] rewards = new double[logProbs.length];
    for (int t = 0; t < rewards.length; t++) {
      rewards[t] = -beta * estimator.estimate(logProbs[t], referenceLogProbs[t]);
    }
    rewards[rewards.length - 1] += truncated ? reward - truncationPenalty : reward;
    return rewards;
  }
}
