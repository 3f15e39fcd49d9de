package io.millrace.model.tensor.nd4j;

import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.BackendContract;

class Nd4jBackendTest extends BackendContract {

  @Override
  protected Backend newBackend() {
    return new Nd4jBackend();
  }
}
