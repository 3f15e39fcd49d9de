package io.millrace.model.torch;

import io.millrace.model.torch.PackedAttention.Heads;
import io.millrace.model.torch.library.Operator;
import org.bytedeco.pytorch.IValue;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * libtorch's flash attention for the CPU (Dao et al., arXiv 2205.14135). It knows no grouped
 * queries, so keys and values are repeated for the query heads of their group.
 */
final class FlashKernel implements GroupKernel {

  @Override
  public Forward forward(Tensor q, Tensor k, Tensor v, Heads heads) {
    Tensor[] results =
        Operator.FLASH_CPU.call(
            2,
            new IValue(q.transpose(1, 2)),
            new IValue(repeated(k, heads)),
            new IValue(repeated(v, heads)),
            new IValue(0.0),
            new IValue(true),
            new IValue(),
            new IValue(heads.scale()));
    return new Forward(results[0].transpose(1, 2), results[1]);
  }

  @Override
  public Tensor[] backward(
      Tensor dout, Tensor q, Tensor k, Tensor v, Forward forward, Heads heads) {
    if (q.size(1) == 1) {
      // A token alone attends to itself whatever its query is; the operator returns rounding.
      Tensor dv = summed(dout.transpose(1, 2), heads);
      return new Tensor[] {torch.zeros_like(q), torch.zeros_like(k), dv};
    }
    // The operator is 13 times slower in bfloat16 than in float32.
    Tensor[] results =
        Operator.FLASH_CPU_BACKWARD.call(
            3,
            new IValue(wide(dout).transpose(1, 2)),
            new IValue(wide(q).transpose(1, 2)),
            new IValue(repeated(wide(k), heads)),
            new IValue(repeated(wide(v), heads)),
            new IValue(wide(forward.out()).transpose(1, 2)),
            new IValue(forward.logSumExp()),
            new IValue(0.0),
            new IValue(true),
            new IValue(),
            new IValue(heads.scale()));
    return new Tensor[] {
      results[0].transpose(1, 2), summed(results[1], heads), summed(results[2], heads)
    };
  }

  private static Tensor wide(Tensor x) {
    return x.to(ScalarType.Float);
  }

  /** {@code [B, T, kvHeads, d]} as {@code [B, heads, T, d]}. */
  private static Tensor repeated(Tensor keys, Heads heads) {
    if (heads.group() == 1) {
      return keys.transpose(1, 2);
    }
    long b = keys.size(0);
    long t = keys.size(1);
    return keys.unsqueeze(3)
        .expand(b, t, heads.keys(), heads.group(), heads.width())
        .reshape(b, t, heads.query(), heads.width())
        .transpose(1, 2);
  }

  /** Sums the gradients {@code [B, heads, T, d]} of each group: {@code [B, T, kvHeads, d]}. */
  private static Tensor summed(Tensor gradients, Heads heads) {
    Tensor byToken = gradients.transpose(1, 2);
    return heads.group() == 1
        ? byToken
        : byToken
            .reshape(byToken.size(0), byToken.size(1), heads.keys(), heads.group(), heads.width())
            .sum(3);
  }
}
