package io.millrace.model.torch;

import io.millrace.model.torch.PackedAttention.Heads;
import org.bytedeco.pytorch.Tensor;

/**
 * Causal attention of a batch of B sequences of equal length T. Queries are {@code [B, T, heads,
 * d]}; keys and values are {@code [B, T, kvHeads, d]}.
 */
interface GroupKernel {

  /**
   * The result of a forward pass.
   *
   * @param out {@code [B, T, heads, d]}
   * @param logSumExp for the backward pass; null if it needs none
   */
  record Forward(Tensor out, Tensor logSumExp) {}

  Forward forward(Tensor q, Tensor k, Tensor v, Heads heads);

  /** The derivatives by q, k and v, of their shapes. */
  Tensor[] backward(Tensor dout, Tensor q, Tensor k, Tensor v, Forward forward, Heads heads);
}
