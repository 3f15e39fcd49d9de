package io.millrace.model.checkpoint;

import java.util.Objects;

/**
 * A float32 tensor that is about to be written, read piece by piece, so that a model on a device is
 * never copied whole to the host.
 */
public interface TensorSource {
  /** Sizes, outermost first; empty for a scalar. The same at every call. */
  int[] shape();

  /**
   * Copies elements {@code first} to {@code first + count - 1}, in row-major order, into the first
   * {@code count} places of {@code chunk}. Called with growing {@code first}, each element once.
   */
  void read(long first, float[] chunk, int count);

  /**
   * A tensor whose values are in an array, which is not copied.
   *
   * @throws IllegalArgumentException where the array has not as many values as the shape
   */
  static TensorSource of(int[] shape, float[] values) {
    Objects.requireNonNull(values, "values");
    int[] sizes = shape.clone();
    long count = elementCount(sizes);
    if (count != values.length) {
      throw new IllegalArgumentException(
          "shape asks for " + count + " values but there are " + values.length);
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
   * @throws ArithmeticException where the number does not fit a long
   */
  static long elementCount(int[] shape) {
    long count = 1;
    for (int size : shape) {
      if (size < 0) {
        throw new IllegalArgumentException("size " + size + " of a shape is negative");
      }
      count = Math.multiplyExact(count, (long) size);
    }
    return count;
  }
}
