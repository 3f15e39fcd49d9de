package io.millrace.model.torch;

import io.millrace.model.contract.AdapterContract;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Precision;

/** Adapters on {@code torch}, on the CPU in float32. */
class TorchAdapterTest extends AdapterContract {

  @Override
  protected Backend newBackend() {
    return TestDevice.backend(Precision.FLOAT32, 1);
  }
}
