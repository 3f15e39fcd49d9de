package io.millrace.model.torch;

import io.millrace.model.contract.BackendContract;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Precision;

/**
 * The backend contract on {@code torch} in bfloat16, whose numbers have 8 significant bits: a
 * rounding is up to 2⁻⁹ of a value. A kernel rounds its result and some intermediate values.
 */
class TorchBfloat16Test extends BackendContract {

  @Override
  protected Backend newBackend() {
    return TestDevice.backend(Precision.BFLOAT16, 1);
  }

  @Override
  public double forwardTolerance() {
    return 1e-2;
  }

  @Override
  public double backwardTolerance() {
    return 2e-2;
  }

  @Override
  public float rowTolerance() {
    // One unit in the last place of results up to 16.
    return 0.0625f;
  }
}
