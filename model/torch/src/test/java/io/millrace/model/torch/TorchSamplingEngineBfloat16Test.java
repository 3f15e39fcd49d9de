package io.millrace.model.torch;

import io.millrace.model.contract.SamplingEngineContract;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Precision;

/**
 * The sampling engine in bfloat16. Rounding depends on the batch, and a response can part from that
 * of another batch where two tokens are almost equally probable.
 */
class TorchSamplingEngineBfloat16Test extends SamplingEngineContract {

  @Override
  protected Backend newBackend() {
    return TestDevice.backend(Precision.BFLOAT16, 1);
  }

  @Override
  protected float tolerance() {
    return 0.15f;
  }

  @Override
  protected float forwardTolerance() {
    return 0.15f;
  }

  @Override
  protected boolean sameTokens() {
    return false;
  }
}
