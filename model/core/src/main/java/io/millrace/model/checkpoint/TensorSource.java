package io.millrace.model.checkpoint;

import java.util.Arrays;
import java.util.Objects;

/**
 * A float32 tensor to be written. It is read piece by piece, so a model on a device is never copied
 * to the host as a whole.
 */
public interface TensorSource {
  /** Sizes, outermost first; empty for a scalar. Every call returns the same. */
  int[] shape();

  /**
   * Copies elements {@code first} to {@code first + count - 1}, in row-major order, to the start of
   * {@code chunk}. The writer calls this with ascending {@code first} and reads each element once.
   */
  void read(long first, float[] chunk, int count);

  /**
   * A tensor over an array, which is not copied.
   *
   * @throws IllegalArgumentException unless the array has one value for each element of the shape
   */
  static TensorSource of(int[] shape, float[] values) {
    Objects.requireNonNull(values, "values");
    int[] sizes = shape.clone();
    long count = elementCount(sizes);
    if (count != values.length) {
      throw new IllegalArgumentException(
          "shape "
              + Arrays.toString(sizes)
              + " needs "
              + count
              + " values but there are "
              + values.length);
    }
    return new TensorSource() {
      @Override
      public int[] shape() {
        return sizes.clone();
      }

      @Override
      public void read(long first, float[] chunk, int length) {
        System.arraycopy(values, Math.toIntExact(first), chunk, 0, length);
      }
    };
  }

  /**
   * Number of elements of a shape.
   *
   * @throws IllegalArgumentException for a negative size
   * @throws ArithmeticException if the number exceeds a long
   */
  static long elementCount(int[] shape) {
    long count = 1;
    for (int size : shape) {
      if (size < 0) {
        throw new IllegalArgumentException(
            "shape " + Arrays.toString(shape) + " has the negative size " + size);
      }
      count = Math.multiplyExact(count, (long) size);
    }
    return count;
  }
}
