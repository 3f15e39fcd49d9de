package io.millrace.model.ppo;

/**
 * The policy's loss over a part of a mini-batch; each mean is the part's share of the mean over the
 * whole mini-batch, so that parts add up.
 *
 * @param loss share of the mean loss
 * @param ratio share of the mean ratio new to old; 1 in sum before the first update
 * @param approximateKl share of the mean of ½·(new − old)², in nats
 * @param clipFraction share of the fraction of tokens that were clipped
 * @param logRatiosClamped how many log-ratios were beyond ±{@value PpoObjective#MAX_LOG_RATIO}
 */
public record PolicyLoss(
    double loss, double ratio, double approximateKl, double clipFraction, long logRatiosClamped) {

  /** Of no tokens. */
  public static final PolicyLoss ZERO = new PolicyLoss(0, 0, 0, 0, 0);

  /** This part and another of the same mini-batch. */
  public PolicyLoss plus(PolicyLoss other) {
    return new PolicyLoss(
        loss + other.loss,
        ratio + other.ratio,
        approximateKl + other.approximateKl,
        clipFraction + other.clipFraction,
        logRatiosClamped + other.logRatiosClamped);
  }
}
