package io.millrace.model.cpu;

import io.millrace.model.contract.BackendContract;
import io.millrace.model.cpu.tiles.VectorTiles;
import io.millrace.model.tensor.Backend;

/** The {@code cpu} backend as on a processor without machine code. */
class PortableCpuBackendTest extends BackendContract {

  @Override
  protected Backend newBackend() {
    return new CpuBackend(WorkPool.shared(), new VectorTiles());
  }
}
