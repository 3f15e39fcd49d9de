package io.millrace.model.rlhf;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;

/**
 * β, fixed or moved so that the KL stays near a target (Ziegler et al., arXiv 1909.08593, section
 * 2.2).
 */
public final class KlController {

  private static final double MAX_ERROR = 0.2;

  private final double target;
  private final double horizon;
  private double coefficient;

  private KlController(double coefficient, double target, double horizon) {
    if (!(coefficient >= 0) || !(target >= 0) || !(horizon > 0)) {
      throw new IllegalArgumentException(
          "β %s and target %s must be at least 0, the horizon %s above 0"
              .formatted(coefficient, target, horizon));
    }
    this.coefficient = coefficient;
    this.target = target;
    this.horizon = horizon;
  }

  public static KlController fixed(double coefficient) {
    return new KlController(coefficient, 0, 1);
  }

  /**
   * β ← β·(1 + e·n/horizon) with e = clip(KL/target − 1, ±0.2).
   *
   * @param target KL of a response, in nats
   * @param horizon rollouts over which β moves
   */
  public static KlController adaptive(double coefficient, double target, double horizon) {
    if (target <= 0) {
      throw new IllegalArgumentException("the KL target must be above 0, not " + target);
    }
    return new KlController(coefficient, target, horizon);
  }

  /** β. */
  public double coefficient() {
    return coefficient;
  }

  /** Takes note of a batch: the mean KL of its responses, and their number. */
  public void update(double kl, int rollouts) {
    if (target > 0 && Double.isFinite(kl)) {
      double error = Math.clamp(kl / target - 1, -MAX_ERROR, MAX_ERROR);
      coefficient *= 1 + error * rollouts / horizon;
    }
  }

  public void write(DataOutput out) throws IOException {
    out.writeDouble(coefficient);
  }

  public void read(DataInput in) throws IOException {
    coefficient = in.readDouble();
  }
}
