package io.millrace.model.ppo;

import io.millrace.model.training.Checks;
import java.util.Arrays;

/**
 * Estimators of KL(π‖π_0) from one token sampled from π (Schulman, "Approximating KL Divergence",
 * joschu.net/blog/kl-approx.html, 2020), with log r = log π_0 − log π of that token.
 *
 * <p>A good estimate need not have a good gradient (Tang and Munos, arXiv 2506.09477; {@link
 * #isFor}).
 */
public enum KlEstimator {
  /** {@code −log r}: unbiased. It is often negative, which is right: never cut it at zero. */
  K1 {
    @Override
    double ofLogRatio(double logRatio) {
      return -logRatio;
    }

    @Override
    double slope(double logRatio) {
      return 1;
    }
  },
  /** {@code (log r)² / 2}: never negative, biased, of low variance. */
  K2 {
    @Override
    double ofLogRatio(double logRatio) {
      return 0.5 * logRatio * logRatio;
    }

    @Override
    double slope(double logRatio) {
      return -logRatio;
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

    @Override
    double slope(double logRatio) {
      return logRatio > PpoObjective.MAX_LOG_RATIO ? 0 : -Math.expm1(logRatio);
    }
  };

  abstract double ofLogRatio(double logRatio);

  /** Derivative of {@link #ofLogRatio} by log π. */
  abstract double slope(double logRatio);

  /**
   * Whether charging the estimate there minimises a KL. In the reward only k1 does: the gradient of
   * an expected reward that contains k2 or k3 is not the KL's. In the loss the mean gradient of k1
   * is 0, that of k2 is the gradient of KL(π‖π_0), and that of k3 the gradient of KL(π_0‖π).
   */
  public boolean isFor(KlPlacement placement) {
    return (this == K1) == (placement == KlPlacement.REWARD);
  }

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
    float[] ones = new float[logProbs.length];
    Arrays.fill(ones, 1);
    return sum(logProbs, referenceLogProbs, ones);
  }

  /**
   * The weighted sum of the estimates over a response, in nats.
   *
   * @param weights importance weights of the tokens, {@code [tokens]}: 1 where the policy of
   *     logProbs sampled the token
   * @throws IllegalArgumentException if lengths differ or a log-prob is not finite
   */
  public double sum(float[] logProbs, float[] referenceLogProbs, float[] weights) {
    Checks.sameLength("reference log-probs", referenceLogProbs.length, logProbs.length);
    Checks.sameLength("weights", weights.length, logProbs.length);
    double sum = 0;
    for (int t = 0; t < logProbs.length; t++) {
      sum += weights[t] * estimate(logProbs[t], referenceLogProbs[t]);
    }
    return sum;
  }
}
