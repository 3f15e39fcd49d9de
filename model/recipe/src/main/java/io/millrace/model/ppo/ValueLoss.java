package io.millrace.model.ppo;

/**
 * The critic's loss over a part of a mini-batch; parts add up, as those of {@link PolicyLoss} do.
 *
 * @param loss share of the mean loss
 * @param clipFraction share of the fraction of tokens that were clipped
 */
public record ValueLoss(double loss, double clipFraction) {

  /** Of no tokens. */
  public static final ValueLoss ZERO = new ValueLoss(0, 0);

  /** This part and another of the same mini-batch. */
  public ValueLoss plus(ValueLoss other) {
    return new ValueLoss(loss + other.loss, clipFraction + other.clipFraction);
  }
}
