package io.millrace.model.cpu;

import io.millrace.model.contract.SamplingEngineContract;
import io.millrace.model.tensor.Backend;

/** The sampling engine on {@code cpu}, whose results are independent of the batch bit for bit. */
class CpuSamplingEngineTest extends SamplingEngineContract {

  @Override
  protected Backend newBackend() {
    return new CpuBackend();
  }

  @Override
  protected float tolerance() {
    return 0;
  }
}
