package io.millrace.model.nd4j;

import io.millrace.model.contract.SamplingEngineContract;
import io.millrace.model.tensor.Backend;

/**
 * The sampling engine on {@code nd4j}, whose results are independent of the batch up to rounding.
 */
class Nd4jSamplingEngineTest extends SamplingEngineContract {

  @Override
  protected Backend newBackend() {
    return new Nd4jBackend();
  }

  @Override
  protected float tolerance() {
    return 1e-4f;
  }
}
