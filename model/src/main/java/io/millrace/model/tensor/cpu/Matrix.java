package io.millrace.model.tensor.cpu;

/**
 * Where a matrix lies: strides are in bytes, from a row to the next and from a column to the next,
 * one of which is an element's size.
 */
record Matrix(long address, long rowStride, long columnStride) {

  static final long ELEMENT = Float.BYTES;

  /** A tensor's rows. */
  static Matrix of(CpuTensor tensor) {
    return new Matrix(tensor.address(0), ELEMENT * tensor.columns(), ELEMENT);
  }

  /** What begins at a row and a column. */
  Matrix from(int row, int column) {
    return new Matrix(at(row, column), rowStride, columnStride);
  }

  Matrix transposed() {
    return new Matrix(address, columnStride, rowStride);
  }

  long at(int row, int column) {
    return address + row * rowStride + column * columnStride;
  }

  /** Copies the first rows and columns to the same of a target; both by rows. */
  void copyTo(Matrix target, int rows, int columns) {
    for (int i = 0; i < rows; i++) {
      Native.copy(at(i, 0), target.at(i, 0), columns);
    }
  }

  /** Whether a row's elements lie together. */
  boolean isByRows() {
    return columnStride == ELEMENT;
  }
}
