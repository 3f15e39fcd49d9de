package io.millrace.model.tensor;

/**
 * A handle on float32 memory that a {@link Backend} owns, dense and row-major.
 *
 * <p>The host reads and writes it only by explicit copies, so that a device with a memory of its
 * own fits the same contract. A slice shares the memory of the tensor it was cut from; closing the
 * owner ends its slices.
 */
public interface Tensor extends AutoCloseable {

  /** Sizes of the dimensions, outermost first. */
  int[] shape();

  /** Number of elements. */
  default long size() {
    long size = 1;
    for (int dimension : shape()) {
      size *= dimension;
    }
    return size;
  }

  /** The last dimension. */
  default int columns() {
    int[] shape = shape();
    return shape[shape.length - 1];
  }

  /** All dimensions but the last, multiplied. */
  default int rows() {
    return columns() == 0 ? 0 : Math.toIntExact(size() / columns());
  }

  /**
   * The elements from {@code offset} on, as a tensor of the given shape over the same memory; every
   * dimension is at least 1.
   */
  Tensor slice(long offset, int... shape);

  /** The first rows of a matrix, over the same memory. */
  default Tensor firstRows(int rows) {
    return rows == rows() ? this : slice(0, rows, columns());
  }

  /** Copies {@code length} elements from {@code offset} on into {@code target}. */
  void read(long offset, float[] target, int targetOffset, int length);

  /** Copies {@code length} elements of {@code source} to {@code offset} and following. */
  void write(long offset, float[] source, int sourceOffset, int length);

  /** All elements, in a new array. */
  default float[] toFloats() {
    float[] values = new float[Math.toIntExact(size())];
    read(0, values, 0, values.length);
    return values;
  }

  /** Overwrites all elements. */
  default void write(float... values) {
    if (values.length != size()) {
      throw new IllegalArgumentException(
          "cannot write " + values.length + " values to a tensor of " + size());
    }
    write(0, values, 0, values.length);
  }

  @Override
  void close();
}
