package io.millrace.model.torch;

import io.millrace.model.contract.BackendContract;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Precision;

/** The backend contract on {@code torch}. */
class TorchBackendTest extends BackendContract {

  @Override
  protected Backend newBackend() {
    return TestDevice.backend(Precision.FLOAT32, 1);
  }

  @Override
  public float rowTolerance() {
    // BLAS sums in an order that depends on the size of the matrix and on the place of a row in it.
    return 1e-5f;
  }
}
