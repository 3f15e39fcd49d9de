package io.millrace.model.nd4j;

import io.millrace.model.contract.BackendContract;
import io.millrace.model.tensor.Backend;

class Nd4jBackendTest extends BackendContract {

  @Override
  protected Backend newBackend() {
    return new Nd4jBackend();
  }

  @Override
  public float rowTolerance() {
    // BLAS sums in an order that a row's place in the matrix and the matrix's size decide.
    return 1e-5f;
  }
}
