package io.millrace.model.nd4j;

import io.millrace.model.contract.BackendContract;
import io.millrace.model.tensor.Backend;

/** The backend contract on {@code nd4j}. */
class Nd4jBackendTest extends BackendContract {

  @Override
  protected Backend newBackend() {
    return new Nd4jBackend();
  }

  @Override
  public float rowTolerance() {
    // BLAS sums in an order that depends on the size of the matrix and on the place of a row in it.
    return 1e-5f;
  }
}
