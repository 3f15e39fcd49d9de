package io.millrace.model.tensor.cpu;

import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.BackendContract;

/** As it is where there is no machine code for the processor. */
class PortableCpuBackendTest extends BackendContract {

  @Override
  protected Backend newBackend() {
    return new CpuBackend(WorkPool.shared(), new VectorTiles());
  }
}
