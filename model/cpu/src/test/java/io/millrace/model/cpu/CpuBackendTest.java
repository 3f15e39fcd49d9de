package io.millrace.model.cpu;

import io.millrace.model.contract.BackendContract;
import io.millrace.model.tensor.Backend;

/** The backend contract on {@code cpu}, with the machine code of this processor. */
class CpuBackendTest extends BackendContract {

  @Override
  protected Backend newBackend() {
    return new CpuBackend();
  }
}
