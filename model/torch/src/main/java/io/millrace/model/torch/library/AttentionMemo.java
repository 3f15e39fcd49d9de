package io.millrace.model.torch.library;

import io.millrace.model.tensor.Queries;
import java.util.Arrays;
import org.bytedeco.pytorch.Tensor;

/**
 * What an attention computed that its backward pass needs, such as the log-sum-exp of each query's
 * scores. It holds as long as the arguments have the versions that they had then.
 */
public final class AttentionMemo {

  private final TorchTensor[] arguments;
  private final long[] versions;
  private final Queries queries;
  private final Tensor[] kept;

  /**
   * Keeps what an attention computed.
   *
   * @param out the result
   * @param kept tensors of the operator, retained
   */
  public AttentionMemo(
      TorchTensor out,
      TorchTensor q,
      TorchTensor k,
      TorchTensor v,
      Queries queries,
      Tensor[] kept) {
    this.arguments = new TorchTensor[] {out, q, k, v};
    this.versions = new long[arguments.length];
    for (int i = 0; i < versions.length; i++) {
      versions[i] = arguments[i].block().version();
    }
    this.queries = queries;
    this.kept = kept;
  }

  /** Whether an attention of these arguments would give the same again. */
  public boolean holdsFor(TorchTensor q, TorchTensor k, TorchTensor v, Queries of) {
    TorchTensor[] given = {arguments[0], q, k, v};
    for (int i = 0; i < given.length; i++) {
      if (given[i].block() != arguments[i].block()
          || given[i].offset() != arguments[i].offset()
          || given[i].block().version() != versions[i]) {
        return false;
      }
    }
    return Arrays.equals(queries.rows(), of.rows())
        && Arrays.equals(queries.sequences().offsets(), of.sequences().offsets());
  }

  public TorchTensor out() {
    return arguments[0];
  }

  public Tensor[] kept() {
    return kept;
  }

  public void close() {
    for (Tensor each : kept) {
      each.deallocate();
    }
  }
}
