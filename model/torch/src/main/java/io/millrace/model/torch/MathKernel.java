package io.millrace.model.torch;

import io.millrace.model.torch.PackedAttention.Heads;
import io.millrace.model.torch.library.Constants;
import io.millrace.model.torch.library.TorchDevice;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Attention in matrix products, in float32, for every device, type and head width. It holds the
 * scores {@code [B, heads, T, T]} of some sequences at a time.
 */
final class MathKernel implements GroupKernel {

  private final TorchDevice device;

  MathKernel(TorchDevice device) {
    this.device = device;
  }

  @Override
  public Forward forward(Tensor q, Tensor k, Tensor v, Heads heads) {
    Tensor p = probabilities(queries(q, heads), keys(k, heads), q.size(1), heads);
    Tensor out = p.bmm(keys(v, heads));
    return new Forward(byToken(out, q.size(0), q.size(1), heads), null);
  }

  @Override
  public Tensor[] backward(
      Tensor dout, Tensor q, Tensor k, Tensor v, Forward forward, Heads heads) {
    long b = q.size(0);
    long t = q.size(1);
    Tensor queries = queries(q, heads);
    Tensor keys = keys(k, heads);
    Tensor p = probabilities(queries, keys, t, heads);
    Tensor d = queries(dout, heads);
    Tensor dv = p.transpose(1, 2).bmm(d);
    Tensor ds = d.bmm(keys(v, heads).transpose(1, 2));
    Tensor mean = ds.mul(p).sum(new long[] {2}, true, Constants.FLOAT);
    ds.sub_(mean, Constants.ONE).mul_(p).mul_(new Scalar(heads.scale()));
    Tensor dq = ds.bmm(keys);
    Tensor dk = ds.transpose(1, 2).bmm(queries);
    return new Tensor[] {
      byToken(dq, b, t, heads), keysByToken(dk, b, t, heads), keysByToken(dv, b, t, heads)
    };
  }

  /** Softmax of the scores, {@code [B · kvHeads, group · T, T]}. */
  private Tensor probabilities(Tensor queries, Tensor keys, long t, Heads heads) {
    Tensor scores = queries.bmm(keys.transpose(1, 2)).mul_(new Scalar(heads.scale()));
    Tensor later =
        device.zeros(ScalarType.Float, t, t).fill_(new Scalar(Double.NEGATIVE_INFINITY)).triu_(1);
    scores.view(-1, t, t).add_(later, Constants.ONE);
    return scores.softmax(2);
  }

  /** {@code [B, T, heads, d]} as {@code [B · kvHeads, group · T, d]}. */
  private static Tensor queries(Tensor q, Heads heads) {
    long b = q.size(0);
    long t = q.size(1);
    return q.to(ScalarType.Float)
        .reshape(b, t, heads.keys(), heads.group(), heads.width())
        .permute(0, 2, 3, 1, 4)
        .reshape(b * heads.keys(), heads.group() * t, heads.width());
  }

  /** {@code [B, T, kvHeads, d]} as {@code [B · kvHeads, T, d]}. */
  private static Tensor keys(Tensor k, Heads heads) {
    long b = k.size(0);
    long t = k.size(1);
    return k.to(ScalarType.Float).permute(0, 2, 1, 3).reshape(b * heads.keys(), t, heads.width());
  }

  private static Tensor byToken(Tensor queries, long b, long t, Heads heads) {
    return queries
        .view(b, heads.keys(), heads.group(), t, heads.width())
        .permute(0, 3, 1, 2, 4)
        .reshape(b, t, heads.query(), heads.width());
  }

  private static Tensor keysByToken(Tensor keys, long b, long t, Heads heads) {
    return keys.view(b, heads.keys(), t, heads.width()).permute(0, 2, 1, 3);
  }
}
