package io.millrace.model.sampling;

import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.cpu.CpuBackend;

class CpuSamplingEngineTest extends SamplingEngineContract {

  @Override
  Backend newBackend() {
    return new CpuBackend();
  }

  @Override
  float tolerance() {
    return 0;
  }
}
