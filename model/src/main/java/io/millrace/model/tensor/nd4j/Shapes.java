package io.millrace.model.tensor.nd4j;

import io.millrace.model.tensor.Tensor;
import java.util.Arrays;

/** Refusals of arguments that do not fit; each names the kernel and the shapes. */
final class Shapes {

  private Shapes() {}

  static void require(boolean fits, String kernel, Tensor... tensors) {
    if (!fits) {
      throw new IllegalArgumentException(
          kernel + ": shapes do not fit: " + Arrays.toString(tensors));
    }
  }

  /** For kernels that go element by element. */
  static void requireSameSize(String kernel, Tensor first, Tensor... others) {
    for (Tensor other : others) {
      require(other.size() == first.size(), kernel, first, other);
    }
  }

  /** For kernels that go row by row. */
  static void requireSameRows(String kernel, Tensor first, Tensor... others) {
    for (Tensor other : others) {
      require(
          other.columns() == first.columns() && other.rows() == first.rows(), kernel, first, other);
    }
  }

  /** A count beside tensors: a number of tokens, heads or values. */
  static void requireCount(String kernel, String what, long count, long wanted, Tensor... tensors) {
    if (count != wanted) {
      throw new IllegalArgumentException(
          "%s: %d %s where %d are needed, with shapes %s"
              .formatted(kernel, count, what, wanted, Arrays.toString(tensors)));
    }
  }

  static void requireIndices(String kernel, int[] indices, int bound) {
    for (int i = 0; i < indices.length; i++) {
      if (indices[i] < 0 || indices[i] >= bound) {
        throw new IllegalArgumentException(
            "%s: index %d at %d is not in [0, %d)".formatted(kernel, indices[i], i, bound));
      }
    }
  }
}
