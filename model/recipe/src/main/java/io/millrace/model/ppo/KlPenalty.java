package io.millrace.model.ppo;

import io.millrace.model.training.Checks;

/**
 * The KL penalty, in the reward or in the loss.
 *
 * <p>In the reward: {@code r_t = −β·kl_t}, plus the response's scalar reward R̃_c on the last token
 * (Llama 2, arXiv 2307.09288, section 3.2.3, R = R̃_c − β·KL(π_θ‖π_0), spread over tokens as in
 * Ouyang et al., arXiv 2203.02155, appendix C).
 *
 * <p>In the loss: {@code L_KL = β/M·Σ w_t·kl_t}, with log π_θ as it is at the update (Shao et al.,
 * arXiv 2402.03300, equation 3, has k3 there).
 *
 * @param estimator of the KL of a token; {@link KlEstimator#isFor} says which fits where
 * @param placement where the KL is charged
 * @param truncationPenalty taken from the scalar reward of a response that was cut at the length
 *     limit, at least 0; in whitened rewards 1 is one standard deviation
 */
public record KlPenalty(KlEstimator estimator, KlPlacement placement, double truncationPenalty) {

  public static final KlEstimator DEFAULT_ESTIMATOR = KlEstimator.K1;

  /** The paper gives none; without one a policy learns to run into the length limit. */
  public static final double DEFAULT_TRUNCATION_PENALTY = 1.0;

  public KlPenalty {
    if (estimator == null || placement == null) {
      throw new IllegalArgumentException(
          "a KL penalty needs an estimator, K1, K2 or K3, and a placement, REWARD or LOSS");
    }
    if (!estimator.isFor(placement)) {
      throw new IllegalArgumentException(
          placement == KlPlacement.REWARD
              ? estimator
                  + " in the reward has a gradient that is not the KL's; use K1, or the loss"
              : "K1 in the loss has a mean gradient of 0; use K2 or K3, or the reward");
    }
    Checks.that(
        truncationPenalty >= 0 && Double.isFinite(truncationPenalty),
        "truncationPenalty",
        truncationPenalty,
        "finite and at least 0");
  }

  public static KlPenalty defaults() {
    return new KlPenalty(DEFAULT_ESTIMATOR, KlPlacement.REWARD, DEFAULT_TRUNCATION_PENALTY);
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
      double kl = estimator.estimate(logProbs[t], referenceLogProbs[t]);
      rewards[t] = placement == KlPlacement.REWARD ? -beta * kl : 0;
    }
    rewards[rewards.length - 1] += last(reward, truncated);
    return rewards;
  }

  /** What the last token earns beside its KL. */
  double last(double reward, boolean truncated) {
    return truncated ? reward - truncationPenalty : reward;
  }

  /**
   * The KL term of the loss over the response tokens of a micro-batch, 0 with the KL in the reward.
   * It is divided by the response tokens of the whole mini-batch: the terms of the parts add up.
   *
   * @param dLogProbs in and out: the derivative of this term is added, {@code [tokens]}
   * @param logProbs under the policy as it is now, in nats
   * @param weights importance weights of the tokens ({@link ImportanceWeight})
   * @param part its responses, whose tokens count as in the policy's loss
   * @throws IllegalArgumentException if lengths differ or a number is not finite
   */
  public double loss(
      float[] dLogProbs,
      float[] logProbs,
      float[] referenceLogProbs,
      float[] weights,
      double beta,
      PpoObjective.Part part) {
    if (placement == KlPlacement.REWARD) {
      return 0;
    }
    Checks.sameLength("derivatives by log-probs", dLogProbs.length, logProbs.length);
    Checks.sameLength("reference log-probs", referenceLogProbs.length, logProbs.length);
    Checks.sameLength("weights", weights.length, logProbs.length);
    Checks.sameLength("shares", part.shares().length, logProbs.length);
    double loss = 0;
    for (int t = 0; t < logProbs.length; t++) {
      double weight = beta * weights[t] * part.shares()[t] / part.responseTokens();
      loss += weight * estimator.estimate(logProbs[t], referenceLogProbs[t]);
      dLogProbs[t] +=
          (float) (weight * estimator.slope((double) referenceLogProbs[t] - logProbs[t]));
    }
    return loss;
  }
}
