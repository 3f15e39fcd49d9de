package io.millrace.model.rlhf;

/**
 * The clipped losses of PPO, a token at a time (Schulman et al., arXiv 1707.06347, equation 7; the
 * value clip of their implementation).
 */
public final class PpoObjective {

  /** exp of a larger log-ratio would drown every other token. */
  private static final double MAX_LOG_RATIO = 20;

  private PpoObjective() {}

  /**
   * The policy's loss on a token.
   *
   * @param derivative of the loss by the new log-prob
   * @param clipped the clip decided, and the gradient is zero
   * @param approximateKl (log π_new − log π_old)²/2
   */
  public record PolicyTerm(
      double loss, double derivative, boolean clipped, double ratio, double approximateKl) {}

  /** max(−A·ρ, −A·clip(ρ, 1 ± c)) with ρ = exp(log π_new − log π_old). */
  public static PolicyTerm policy(
      double logProb, double oldLogProb, double advantage, double clip) {
    double logRatio = logProb - oldLogProb;
    double bounded = Math.clamp(logRatio, -MAX_LOG_RATIO, MAX_LOG_RATIO);
    double ratio = Math.exp(bounded);
    double plain = -advantage * ratio;
    double limited = -advantage * Math.clamp(ratio, 1 - clip, 1 + clip);
    boolean clipped = limited > plain;
    // d(−A·ρ)/d log π = −A·ρ; zero where the clip or the bound on the log-ratio holds.
    double derivative = clipped || bounded != logRatio ? 0 : plain;
    return new PolicyTerm(
        Math.max(plain, limited), derivative, clipped, ratio, logRatio * logRatio / 2);
  }

  /**
   * The critic's loss on a token.
   *
   * @param derivative of the loss by the new value
   * @param clipped the clip decided, and the gradient is zero
   */
  public record ValueTerm(double loss, double derivative, boolean clipped) {}

  /** ½·max((V − R)², (clip(V, V_old ± c) − R)²). */
  public static ValueTerm value(double value, double oldValue, double target, double clip) {
    double limited = Math.clamp(value, oldValue - clip, oldValue + clip);
    double plainError = value - target;
    double limitedError = limited - target;
    boolean clipped = limitedError * limitedError > plainError * plainError;
    return clipped
        ? new ValueTerm(limitedError * limitedError / 2, 0, true)
        : new ValueTerm(plainError * plainError / 2, plainError, false);
  }
}
