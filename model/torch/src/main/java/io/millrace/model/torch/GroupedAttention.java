package io.millrace.model.torch;

import io.millrace.model.tensor.Queries;
import io.millrace.model.tensor.Sequences;
import io.millrace.model.torch.library.AttentionMemo;
import io.millrace.model.torch.library.Constants;
import io.millrace.model.torch.library.Lane;
import io.millrace.model.torch.library.Rows;
import io.millrace.model.torch.library.TorchTensor;
import java.util.ArrayList;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

/**
 * Attention over packed sequences by a kernel for sequences of equal length: the sequences of one
 * length make one call. Tokens that do not attend get queries of zeros; their results are dropped,
 * and the derivatives by their results are 0.
 */
final class GroupedAttention implements PackedAttention {

  /** Maximum scores of a call, if the kernel keeps them. */
  private static final long SCORES = 1L << 25;

  private final Lane lane;
  private final GroupKernel kernel;
  private final Queries queries;
  private final boolean keepsScores;

  GroupedAttention(Lane lane, GroupKernel kernel, Queries queries) {
    this.lane = lane;
    this.kernel = kernel;
    this.queries = queries;
    this.keepsScores = kernel instanceof MathKernel;
  }

  @Override
  public void forward(TorchTensor out, TorchTensor q, TorchTensor k, TorchTensor v, Heads heads) {
    Tensor all = queries.areAll() ? out.writtenMatrix() : empty(q, k.rows());
    List<Tensor> logSumExps = run(all, q, k, v, heads);
    if (!queries.areAll()) {
      out.writtenMatrix().copy_(Rows.of(all, lane.longs(queries.rows())));
    }
    if (!logSumExps.isEmpty()) {
      Tensor[] kept = logSumExps.toArray(new Tensor[0]);
      q.block().keep(new AttentionMemo(out, q, k, v, queries, kept));
    }
  }

  /** Computes all rows of out; returns the retained log-sum-exp of each group, if there is one. */
  private List<Tensor> run(Tensor out, TorchTensor q, TorchTensor k, TorchTensor v, Heads heads) {
    Tensor allQueries = spread(q, k.rows());
    List<Tensor> logSumExps = new ArrayList<>();
    for (Group group : groups(heads)) {
      try (PointerScope _ = new PointerScope()) {
        GroupKernel.Forward result =
            kernel.forward(
                group.of(allQueries, heads.query()),
                group.of(k.matrix(), heads.keys()),
                group.of(v.matrix(), heads.keys()),
                heads);
        group.put(out, result.out());
        if (result.logSumExp() != null) {
          logSumExps.add(result.logSumExp().retainReference());
        }
      }
    }
    return logSumExps;
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
    Tensor[] logSumExps = new Tensor[0];
    Tensor out = null;
    List<Tensor> computed = new ArrayList<>();
    if (!keepsScores) {
      AttentionMemo memo = q.block().memo();
      if (memo != null && memo.holdsFor(q, k, v, queries)) {
        logSumExps = memo.kept();
        out = spread(memo.out(), k.rows());
      } else {
        out = empty(q, k.rows());
        computed = run(out, q, k, v, heads);
        logSumExps = computed.toArray(logSumExps);
      }
    }
    Tensor allQueries = spread(q, k.rows());
    Tensor allDout = spread(dout, k.rows());
    Tensor allDq = queries.areAll() ? dq.writtenMatrix() : empty(q, k.rows());
    Tensor dkMatrix = dk.writtenMatrix();
    Tensor dvMatrix = dv.writtenMatrix();
    List<Group> groups = groups(heads);
    for (int i = 0; i < groups.size(); i++) {
      Group group = groups.get(i);
      try (PointerScope _ = new PointerScope()) {
        Tensor[] gradients =
            kernel.backward(
                group.of(allDout, heads.query()),
                group.of(allQueries, heads.query()),
                group.of(k.matrix(), heads.keys()),
                group.of(v.matrix(), heads.keys()),
                keepsScores
                    ? null
                    : new GroupKernel.Forward(group.of(out, heads.query()), logSumExps[i]),
                heads);
        group.put(allDq, gradients[0]);
        group.put(dkMatrix, gradients[1]);
        group.put(dvMatrix, gradients[2]);
      }
    }
    if (!queries.areAll()) {
      dq.writtenMatrix().copy_(Rows.of(allDq, lane.longs(queries.rows())));
    }
    computed.forEach(Tensor::deallocate);
  }

  /** Rows of queries as rows of all n tokens, 0 where a token does not attend. */
  private Tensor spread(TorchTensor rows, int n) {
    if (queries.areAll()) {
      return rows.matrix();
    }
    return lane.device()
        .zeros(rows.type(), n, rows.columns())
        .index_copy_(0, lane.longs(queries.rows()), rows.matrix());
  }

  private Tensor empty(TorchTensor like, int rows) {
    return lane.device().empty(like.type(), rows, like.columns());
  }

  /** Sequences of one length. */
  private final class Group {
    private final int length;
    private final int count;
    private final int[] starts;

    Group(int length, List<Integer> starts) {
      this.length = length;
      this.count = starts.size();
      this.starts = starts.stream().mapToInt(Integer::intValue).toArray();
    }

    /** Whether the sequences follow one another. */
    private boolean isRun() {
      return starts[count - 1] - starts[0] == (count - 1) * length;
    }

    private int[] rows() {
      int[] rows = new int[count * length];
      for (int i = 0; i < rows.length; i++) {
        rows[i] = starts[i / length] + i % length;
      }
      return rows;
    }

    /** The rows of the group, {@code [count, length, heads, d]}. */
    Tensor of(Tensor matrix, int heads) {
      Tensor rows =
          isRun()
              ? matrix.narrow(0, starts[0], (long) count * length)
              : Rows.of(matrix, lane.longs(rows()));
      return rows.view(count, length, heads, -1);
    }

    /** Overwrites the rows of the group. */
    void put(Tensor matrix, Tensor values) {
      if (isRun()) {
        matrix
            .narrow(0, starts[0], (long) count * length)
            .view(count, length, values.size(2), values.size(3))
            .copy_(values);
      } else {
        Tensor rows = values.reshape((long) count * length, matrix.size(1));
        matrix.index_copy_(0, lane.longs(rows()), rows.to(Constants.typeOf(matrix)));
      }
    }
  }

  private List<Group> groups(Heads heads) {
    Sequences sequences = queries.sequences();
    SortedMap<Integer, List<Integer>> starts = new TreeMap<>();
    for (int i = 0; i < sequences.count(); i++) {
      starts.computeIfAbsent(sequences.length(i), _ -> new ArrayList<>()).add(sequences.start(i));
    }
    List<Group> groups = new ArrayList<>();
    starts.forEach(
        (length, of) -> {
          long scores = (long) heads.query() * length * length;
          int atOnce = keepsScores ? (int) Math.max(1, SCORES / scores) : of.size();
          for (int from = 0; from < of.size(); from += atOnce) {
            groups.add(new Group(length, of.subList(from, Math.min(of.size(), from + atOnce))));
          }
        });
    return groups;
  }
}
