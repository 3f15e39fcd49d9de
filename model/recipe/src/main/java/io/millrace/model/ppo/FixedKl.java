package io.millrace.model.ppo;

import io.millrace.model.training.Checks;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;

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
  public void write(DataOutput out) throws IOException {
    new KlState(false, beta).write(out);
  }

  @Override
  public void read(DataInput in) throws IOException {
    KlState.read(in);
  }
}
