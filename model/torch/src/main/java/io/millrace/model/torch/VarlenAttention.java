package io.millrace.model.torch;

import io.millrace.model.tensor.Queries;
import io.millrace.model.torch.library.AttentionMemo;
import io.millrace.model.torch.library.Lane;
import io.millrace.model.torch.library.Operator;
import io.millrace.model.torch.library.TorchDevice;
import io.millrace.model.torch.library.TorchTensor;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.IValue;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Flash attention over packed sequences by cumulative lengths, on CUDA (Dao, arXiv 2307.08691).
 *
 * <p>libtorch aligns the causal mask at the end: the last query of a sequence attends to its last
 * key. The queries of a sequence must therefore be its last tokens. They are in training, where
 * tokens after the last one that is read are left out.
 */
final class VarlenAttention implements PackedAttention {

  private static final System.Logger LOG = System.getLogger(VarlenAttention.class.getName());

  private final Lane lane;
  private final Queries queries;

  VarlenAttention(Lane lane, Queries queries) {
    this.lane = lane;
    this.queries = queries;
  }

  /** Whether the device has the operator: NVIDIA GPUs from Ampere on. */
  static boolean works(TorchDevice device, Lane lane) {
    if (!device.isCuda()) {
      return false;
    }
    try (PointerScope _ = new PointerScope()) {
      Tensor probe = device.zeros(ScalarType.BFloat16, 1, 1, 64);
      Tensor offsets = lane.ints(new int[] {0, 1});
      Tensor[] _ = forward(probe, probe, probe, offsets, offsets, 1, 1, new Heads(1, 1, 64));
      return true;
    } catch (RuntimeException e) {
      LOG.log(
          System.Logger.Level.WARNING,
          "no flash attention on {0}, attention takes more memory: {1}",
          device.name(),
          e.getMessage());
      return false;
    }
  }

  /** Whether the queries of each sequence are its last tokens. */
  static boolean fits(Queries queries) {
    for (int sequence = 0; sequence < queries.sequences().count(); sequence++) {
      int count = queries.count(sequence);
      int first = queries.sequences().length(sequence) - count;
      for (int i = 0; i < count; i++) {
        if (queries.positions()[queries.start(sequence) + i] != first + i) {
          return false;
        }
      }
    }
    return true;
  }

  @Override
  public void forward(TorchTensor out, TorchTensor q, TorchTensor k, TorchTensor v, Heads heads) {
    Tensor[] results = run(q, k, v, heads);
    out.writtenMatrix().view(out.rows(), heads.query(), heads.width()).copy_(results[0]);
    Tensor[] kept = new Tensor[3];
    for (int i = 0; i < kept.length; i++) {
      kept[i] = results[i + 1].retainReference();
    }
    q.block().keep(new AttentionMemo(out, q, k, v, queries, kept));
  }

  private Tensor[] run(TorchTensor q, TorchTensor k, TorchTensor v, Heads heads) {
    return forward(
        byHead(q, heads.query()),
        byHead(k, heads.keys()),
        byHead(v, heads.keys()),
        lane.ints(queries.offsets()),
        lane.ints(queries.sequences().offsets()),
        maxQueries(),
        queries.sequences().maxLength(),
        heads);
  }

  /**
   * One call of the operator.
   *
   * @param q {@code [m, heads, d]}
   * @param k {@code [n, kvHeads, d]}
   * @param v {@code [n, kvHeads, d]}
   * @param queryOffsets cumulative numbers of queries, int32
   * @param keyOffsets cumulative lengths, int32
   */
  static Tensor[] forward(
      Tensor q,
      Tensor k,
      Tensor v,
      Tensor queryOffsets,
      Tensor keyOffsets,
      long maxQueries,
      long maxKeys,
      Heads heads) {
    return Operator.FLASH_CUDA.call(
        4,
        new IValue(q),
        new IValue(k),
        new IValue(v),
        new IValue(queryOffsets),
        new IValue(keyOffsets),
        new IValue(maxQueries),
        new IValue(maxKeys),
        new IValue(0.0),
        new IValue(true),
        new IValue(false),
        new IValue(heads.scale()),
        new IValue(),
        new IValue(),
        new IValue(),
        new IValue());
  }

  @Override
  public void backward(
      TorchTensor dq,
      TorchTensor dk,
      TorchTensor dv,
      TorchTensor dout,
      TorchTensor q,
      TorchTensor k,
      TorchTensor v,
      Heads heads) {
    AttentionMemo memo = q.block().memo();
    Tensor out;
    Tensor[] kept;
    if (memo != null && memo.holdsFor(q, k, v, queries)) {
      out = byHead(memo.out(), heads.query());
      kept = memo.kept();
    } else {
      Tensor[] results = run(q, k, v, heads);
      out = results[0];
      kept = new Tensor[] {results[1], results[2], results[3]};
    }
    Tensor[] gradients =
        Operator.FLASH_CUDA_BACKWARD.call(
            3,
            new IValue(byHead(dout, heads.query())),
            new IValue(byHead(q, heads.query())),
            new IValue(byHead(k, heads.keys())),
            new IValue(byHead(v, heads.keys())),
            new IValue(out),
            new IValue(kept[0]),
            new IValue(lane.ints(queries.offsets())),
            new IValue(lane.ints(queries.sequences().offsets())),
            new IValue((long) maxQueries()),
            new IValue((long) queries.sequences().maxLength()),
            new IValue(0.0),
            new IValue(true),
            new IValue(kept[1]),
            new IValue(kept[2]),
            new IValue(heads.scale()),
            new IValue(),
            new IValue());
    put(dq, gradients[0]);
    put(dk, gradients[1]);
    put(dv, gradients[2]);
  }

  private static void put(TorchTensor target, Tensor byHead) {
    target.writtenMatrix().view(byHead.size(0), byHead.size(1), byHead.size(2)).copy_(byHead);
  }

  private static Tensor byHead(TorchTensor x, int heads) {
    return x.matrix().view(x.rows(), heads, -1);
  }

  private int maxQueries() {
    int max = 0;
    for (int sequence = 0; sequence < queries.sequences().count(); sequence++) {
      max = Math.max(max, queries.count(sequence));
    }
    return max;
  }
}
