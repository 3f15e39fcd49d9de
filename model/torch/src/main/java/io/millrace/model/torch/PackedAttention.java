package io.millrace.model.torch;

import io.millrace.model.torch.library.AttentionMemo;
import io.millrace.model.torch.library.TorchTensor;

/** Attention over packed sequences, in one of the ways that libtorch has. */
interface PackedAttention {

  /** Overwrites out, and leaves an {@link AttentionMemo} with the block of q if that helps. */
  void forward(TorchTensor out, TorchTensor q, TorchTensor k, TorchTensor v, Heads heads);

  /** Overwrites dq, dk and dv, which may be q, k and v. */
  void backward(
      TorchTensor dq,
      TorchTensor dk,
      TorchTensor dv,
      TorchTensor dout,
      TorchTensor q,
      TorchTensor k,
      TorchTensor v,
      Heads heads);

  /**
   * The heads of an attention.
   *
   * @param query query heads
   * @param keys key and value heads, a divisor of them
   * @param width d
   */
  record Heads(int query, int keys, int width) {

    /** Query heads that read one key head. */
    int group() {
      return query / keys;
    }

    /** The factor of the scores, 1 / √d. */
    double scale() {
      return 1 / Math.sqrt(width);
    }
  }
}
