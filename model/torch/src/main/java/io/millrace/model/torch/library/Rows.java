package io.millrace.model.torch.library;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** Rows of a matrix by their indices. */
public final class Rows {

  private Rows() {}

  /** {@code out[i] = matrix[index[i]]}, a new tensor. */
  public static Tensor of(Tensor matrix, Tensor index) {
    return matrix.is_meta()
        ? matrix.gather(0, expanded(matrix, index))
        : matrix.index_select(0, index);
  }

  /** As {@link #of}, into out. */
  public static void into(Tensor out, Tensor matrix, Tensor index) {
    if (matrix.is_meta()) {
      torch.gather_out(out, matrix, 0, expanded(matrix, index));
    } else {
      torch.index_select_out(out, matrix, 0, index);
    }
  }

  /** For the device {@code meta}, which has no index_select. */
  private static Tensor expanded(Tensor matrix, Tensor index) {
    return index.view(index.size(0), 1).expand(index.size(0), matrix.size(1));
  }
}
