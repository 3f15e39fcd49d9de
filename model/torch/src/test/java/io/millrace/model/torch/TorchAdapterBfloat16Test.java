package io.millrace.model.torch;

import io.millrace.model.contract.AdapterContract;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Precision;

/** Adapters in bfloat16; gradients against differences of the loss in float32. */
class TorchAdapterBfloat16Test extends AdapterContract {

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
    // An adapter adds two products and their roundings to each of the model's.
    return 6e-2;
  }

  @Override
  protected float logProbTolerance() {
    // Weights of the model are enlarged tenfold; its log-probabilities are down to about -10.
    return 0.15f;
  }
}
