package io.millrace.model.cpu;

import io.millrace.model.contract.AdapterContract;
import io.millrace.model.tensor.Backend;

/** Adapters on {@code cpu}. */
class CpuAdapterTest extends AdapterContract {

  @Override
  protected Backend newBackend() {
    return new CpuBackend();
  }
}
