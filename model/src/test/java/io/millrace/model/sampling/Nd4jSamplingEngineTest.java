package io.millrace.model.sampling;

import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.nd4j.Nd4jBackend;

class Nd4jSamplingEngineTest extends SamplingEngineContract {

  @Override
  Backend newBackend() {
    return new Nd4jBackend();
  }

  @Override
  float tolerance() {
    return 1e-4f;
  }
}
