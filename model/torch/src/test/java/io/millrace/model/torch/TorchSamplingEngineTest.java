package io.millrace.model.torch;

import io.millrace.model.contract.SamplingEngineContract;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Precision;

/**
 * The sampling engine on {@code torch}, whose results are independent of the batch up to rounding.
 */
class TorchSamplingEngineTest extends SamplingEngineContract {

  @Override
  protected Backend newBackend() {
    return TestDevice.backend(Precision.FLOAT32, 1);
  }

  @Override
  protected float tolerance() {
    return 1e-4f;
  }
}
