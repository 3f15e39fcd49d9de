package io.millrace.model.tensor;

/**
 * A block of memory that a {@link Backend} owns, dense and row-major: float32, or bfloat16 for the
 * activations of a backend with that {@link Precision}.
 *
 * <p>The host sees float32, and reads and writes a tensor only by explicit copies, so a device with
 * its own memory can implement the same contract. A slice shares the memory of the tensor it was
 * cut from. Closing the owner invalidates its slices; closing a slice does nothing.
 */
public interface Tensor extends AutoCloseable {

  /** Sizes of the dimensions, outermost first; a copy. */
  int[] shape();

  /** Number of elements: the product of the shape. */
  default long size() {
    long size = 1;
    for (int dimension : shape()) {
      size *= dimension;
    }
    return size;
  }

  /** Size of the last dimension. */
  default int columns() {
    int[] shape = shape();
    return shape[shape.length - 1];
  }

  /** Product of all dimensions but the last; 1 for a vector. */
  default int rows() {
    return columns() == 0 ? 0 : Math.toIntExact(size() / columns());
  }

  /**
   * A tensor of the given shape over the same memory, from element {@code offset} on.
   *
   * @param offset in elements, from 0
   * @param shape sizes of the dimensions, each at least 1
   * @throws IllegalArgumentException if the slice is empty or does not lie in this tensor
   */
  Tensor slice(long offset, int... shape);

  /** The first rows of a matrix, {@code [rows, columns]}, over the same memory. */
  default Tensor firstRows(int rows) {
    return rows(0, rows);
  }

  /** Some rows of a matrix, {@code [count, columns]}, over the same memory. */
  default Tensor rows(int from, int count) {
    return count == rows() ? this : slice((long) from * columns(), count, columns());
  }

  /**
   * Copies elements {@code offset} to {@code offset + length - 1} into {@code target}.
   *
   * @throws IllegalArgumentException if the elements do not lie in this tensor
   * @throws IndexOutOfBoundsException if they do not fit into {@code target}
   */
  void read(long offset, float[] target, int targetOffset, int length);

  /**
   * Overwrites elements {@code offset} to {@code offset + length - 1} from {@code source}.
   *
   * @throws IllegalArgumentException if the elements do not lie in this tensor
   * @throws IndexOutOfBoundsException if {@code source} does not hold as many
   */
  void write(long offset, float[] source, int sourceOffset, int length);

  /** A copy of all elements. */
  default float[] toFloats() {
    float[] values = new float[Math.toIntExact(size())];
    read(0, values, 0, values.length);
    return values;
  }

  /**
   * Overwrites all elements.
   *
   * @throws IllegalArgumentException unless there is one value for each element
   */
  default void write(float... values) {
    if (values.length != size()) {
      throw new IllegalArgumentException(
          "write: "
              + values.length
              + " values for a tensor of "
              + size()
              + " elements; give one value for each element");
    }
    write(0, values, 0, values.length);
  }

  @Override
  void close();
}
