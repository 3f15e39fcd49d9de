package io.millrace.model.rlhf;

/**
 * Rewards per token (Llama 2, section 3.2.3, R = R̃_c − β·KL(π‖π_0); per token as in Ziegler et
 * al., arXiv 1909.08593, section 2).
 */
public final class KlPenalty {

  private KlPenalty() {}

  /**
   * −β·kl_t on every token, and the response's reward on the last. A k1 estimate keeps its sign:
   * cut at zero it would no longer average to the KL.
   *
   * @param logProbs of the response under the policy that sampled it, {@code [r]}
   * @param referenceLogProbs under π_0, {@code [r]}
   * @param beta weight of the penalty
   * @param reward of the whole response
   * @return {@code [r]}
   */
  public static double[] rewards(
      float[] logProbs,
      float[] referenceLogProbs,
      KlEstimator estimator,
      double beta,
      double reward) {
    if (logProbs.length == 0 || logProbs.length != referenceLogProbs.length) {
      throw new IllegalArgumentException(
          "%d log-probs and %d reference log-probs: a response has one of each per token"
              .formatted(logProbs.length, referenceLogProbs.length));
    }
    double[] rewards = new double[logProbs.length];
    for (int t = 0; t < rewards.length; t++) {
      rewards[t] = -beta * estimator.estimate(logProbs[t], referenceLogProbs[t]);
    }
    rewards[rewards.length - 1] += reward;
    return rewards;
  }
}
