package io.millrace.model.cpu;

import io.millrace.model.contract.BackendContract;
import io.millrace.model.tensor.Backend;

class CpuBackendTest extends BackendContract {

  @Override
  protected Backend newBackend() {
    return new CpuBackend();
  }
}
