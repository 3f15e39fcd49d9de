package io.millrace.model.torch;

import io.millrace.model.contract.BackendContract;
import io.millrace.model.tensor.Backend;

/**
 * The backend contract with attention in matrix products, which GPUs use for float32 and for head
 * widths that flash attention does not have.
 */
class TorchMathAttentionTest extends BackendContract {

  @Override
  protected Backend newBackend() {
    return TestDevice.withoutFlashAttention();
  }

  @Override
  public float rowTolerance() {
    return 1e-5f;
  }
}
