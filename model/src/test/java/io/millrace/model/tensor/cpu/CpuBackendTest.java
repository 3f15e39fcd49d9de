package io.millrace.model.tensor.cpu;

import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.BackendContract;

class CpuBackendTest extends BackendContract {

  @Override
  protected Backend newBackend() {
    return new CpuBackend();
  }
}
