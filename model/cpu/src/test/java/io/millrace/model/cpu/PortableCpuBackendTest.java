package io.millrace.model.cpu;

import io.millrace.model.contract.BackendContract;
import io.millrace.model.cpu.tiles.VectorTiles;
import io.millrace.model.tensor.Backend;

/** As it is where there is no machine code for the processor. */
class PortableCpuBackendTest extends BackendContract {

  @Override
  protected Backend newBackend() {
    return new CpuBackend(WorkPool.shared(), new VectorTiles());
  }
}
