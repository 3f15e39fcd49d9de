package io.millrace.model.torch;

import io.millrace.model.contract.ModelGradientContract;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Precision;

/** Gradients of whole models on {@code torch}. */
class TorchModelGradientTest extends ModelGradientContract {

  @Override
  protected Backend newBackend() {
    return TestDevice.backend(Precision.FLOAT32, 1);
  }
}
