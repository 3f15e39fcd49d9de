package io.millrace.model.nd4j;

import io.millrace.model.contract.AdapterContract;
import io.millrace.model.tensor.Backend;

/** Adapters on {@code nd4j}. */
class Nd4jAdapterTest extends AdapterContract {

  @Override
  protected Backend newBackend() {
    return new Nd4jBackend();
  }
}
