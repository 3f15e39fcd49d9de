package io.millrace.model.ppo;

import io.millrace.model.training.Checks;

/**
 * A β that steers the measured KL to a target (Ziegler et al., arXiv 1909.08593, section 2.2):
 *
 * <pre>
 * e = clip((KL − target) / target, −0.2, 0.2)
 * β ← β · (1 + e · rollouts / horizon)
 * </pre>
 *
 * The paper's K_β = 0.1 is rollouts / horizon here, so that the speed does not depend on the size
 * of a PPO batch. That quotient is cut at 1, which keeps β above 0 for any batch.
 */
public final class AdaptiveKl implements KlController {

  /** The proportional error is clipped to ± this. */
  public static final double MAX_ERROR = 0.2;

  private final Settings settings;
  private double beta;

  /**
   * How to adapt.
   *
   * @param initialBeta above 0
   * @param target mean KL of a response, in nats, above 0
   * @param horizon in rollouts, at least 1
   */
  public record Settings(double initialBeta, double target, long horizon) {

    /** Nats per response. */
    public static final double DEFAULT_TARGET = 6;

    public static final long DEFAULT_HORIZON = 10_000;

    public Settings {
      Checks.that(
          initialBeta > 0 && Double.isFinite(initialBeta),
          "initialBeta",
          initialBeta,
          "finite and above 0");
      Checks.that(target > 0 && Double.isFinite(target), "target", target, "finite and above 0");
      Checks.that(horizon >= 1, "horizon", horizon, "at least 1");
    }

    public static Settings defaults() {
      return new Settings(DEFAULT_BETA, DEFAULT_TARGET, DEFAULT_HORIZON);
    }
  }

  AdaptiveKl(Settings settings) {
    this.settings = settings;
    this.beta = settings.initialBeta();
  }

  @Override
  public double beta() {
    return beta;
  }

  @Override
  public void update(double meanKl, long rollouts) {
    checkMeasured(meanKl, rollouts);
    double error = Math.clamp(meanKl / settings.target() - 1, -MAX_ERROR, MAX_ERROR);
    double gain = Math.min(1, (double) rollouts / settings.horizon());
    // Reached only after thousands of updates in one direction; β never becomes 0 or infinite.
    beta = Math.clamp(beta * (1 + error * gain), Double.MIN_NORMAL, Double.MAX_VALUE);
  }

  @Override
  public State state() {
    return new State(true, beta);
  }

  @Override
  public void restore(State state) {
    if (state.adaptive()) {
      Checks.that(state.beta() > 0, "beta", state.beta(), "above 0, to be adapted");
      beta = state.beta();
    }
  }

  static void checkMeasured(double meanKl, long rollouts) {
    Checks.finite("mean KL", meanKl);
    Checks.that(rollouts >= 1, "rollouts", rollouts, "at least 1");
  }
}
