package io.millrace.model.cpu;

import io.millrace.model.contract.ModelGradientContract;
import io.millrace.model.tensor.Backend;

class CpuModelGradientTest extends ModelGradientContract {

  @Override
  protected Backend newBackend() {
    return new CpuBackend();
  }
}
