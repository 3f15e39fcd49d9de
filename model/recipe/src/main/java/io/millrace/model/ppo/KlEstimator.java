package io.millrace.model.ppo;

import io.millrace.model.training.Checks;

/**
 * Estimators of KL(π‖π_0) from one token sampled from π (Schulman, "Approximating KL Divergence",
 * joschu.net/blog/kl-approx.html, 2020), with log r = log π_0 − log π of that token.
 */
public enum KlEstimator {
  /** {@code −log r}: unbiased. It is often negative, which is right: never cut it at zero. */
  K1 {
    @Override
    double ofLogRatio(double logRatio) {
      return -logRatio;
    }
  },
  /** {@code (log r)² / 2}: never negative, biased, of low variance. */
  K2 {
    @Override
    double ofLogRatio(double logRatio) {
      return 0.5 * logRatio * logRatio;
    }
  },
  /**
   * {@code (r − 1) − log r}: never negative, unbiased, of low variance. log r is cut at {@value
   * PpoObjective#MAX_LOG_RATIO} from above, where e^x would soon overflow.
   */
  K3 {
    @Override
    double ofLogRatio(double logRatio) {
      double cut = Math.min(logRatio, PpoObjective.MAX_LOG_RATIO);
      return Math.expm1(cut) - cut;
    }
  };

  abstract double ofLogRatio(double logRatio);

  /**
   * The estimate for one token, in nats.
   *
   * @param logProb log-prob under the policy that sampled the token
   * @param referenceLogProb its log-prob under the reference policy
   * @throws IllegalArgumentException if one is not finite
   */
  public double estimate(double logProb, double referenceLogProb) {
    Checks.finite("log-prob", logProb);
    Checks.finite("reference log-prob", referenceLogProb);
    return ofLogRatio(referenceLogProb - logProb);
  }

  /**
   * The sum of the estimates over a response, in nats.
   *
   * @throws IllegalArgumentException if lengths differ or a log-prob is not finite
   */
  public double sum(float[] logProbs, float[] referenceLogProbs) {
    Checks.sameLength("reference log-probs", referenceLogProbs.length, logProbs.length);
    double sum = 0;
    for (int t = 0; t < logProbs.length; t++) {
      sum += estimate(logProbs[t], referenceLogProbs[t]);
    }
    return sum;
  }
}
