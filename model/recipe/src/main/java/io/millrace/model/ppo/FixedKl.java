package io.millrace.model.ppo;

import io.millrace.model.training.Checks;

/**
 * A β that stays.
 *
 * @param beta at least 0
 */
public record FixedKl(double beta) implements KlController {

  public FixedKl {
    Checks.that(beta >= 0 && Double.isFinite(beta), "beta", beta, "finite and at least 0");
  }

  @Override
  public void update(double meanKl, long rollouts) {
    AdaptiveKl.checkMeasured(meanKl, rollouts);
  }

  @Override
  public State state() {
    return new State(false, beta);
  }

  @Override
  public void restore(State state) {}
}
