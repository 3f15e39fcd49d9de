package io.millrace.model.nd4j;

import io.millrace.model.contract.SamplingEngineContract;
import io.millrace.model.tensor.Backend;

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
