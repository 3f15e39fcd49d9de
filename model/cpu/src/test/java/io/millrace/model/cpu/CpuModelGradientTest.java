package io.millrace.model.cpu;

import io.millrace.model.contract.ModelGradientContract;
import io.millrace.model.tensor.Backend;

/** Gradients of whole models on {@code cpu}. */
class CpuModelGradientTest extends ModelGradientContract {

  @Override
  protected Backend newBackend() {
    return new CpuBackend();
  }
}
