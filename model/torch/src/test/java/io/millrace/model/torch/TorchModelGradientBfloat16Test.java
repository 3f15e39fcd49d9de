package io.millrace.model.torch;

import io.millrace.model.contract.ModelGradientContract;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Precision;

/** Gradients of whole models in bfloat16, against differences of the loss in float32. */
class TorchModelGradientBfloat16Test extends ModelGradientContract {

  @Override
  protected Backend newBackend() {
    return TestDevice.backend(Precision.BFLOAT16, 1);
  }

  @Override
  protected Backend newExactBackend() {
    return TestDevice.backend(Precision.FLOAT32, 1);
  }

  @Override
  protected double slopeTolerance() {
    return 3e-2;
  }
}
