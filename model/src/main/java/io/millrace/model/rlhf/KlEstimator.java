package io.millrace.model.rlhf;

/**
 * Estimators of KL(π‖π_0) from the log-probs of a token that π sampled (Schulman, "Approximating KL
 * divergence", 2020); with d = log π − log π_0.
 */
public enum KlEstimator {
  /** d: unbiased, may be negative for a token. */
  K1 {
    @Override
    public double estimate(double logProb, double referenceLogProb) {
      return logProb - referenceLogProb;
    }
  },
  /** d²/2: biased, low variance, never negative. */
  K2 {
    @Override
    public double estimate(double logProb, double referenceLogProb) {
      double d = logProb - referenceLogProb;
      return d * d / 2;
    }
  },
  /** exp(−d) − 1 + d: unbiased and never negative. */
  K3 {
    @Override
    public double estimate(double logProb, double referenceLogProb) {
      double d = logProb - referenceLogProb;
      return Math.expm1(-d) + d;
    }
  };

  /** In nats. */
  public abstract double estimate(double logProb, double referenceLogProb);
}
