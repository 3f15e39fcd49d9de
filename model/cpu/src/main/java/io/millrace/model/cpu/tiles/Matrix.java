package io.millrace.model.cpu.tiles;

/**
 * Where a matrix lies: strides are in bytes, from a row to the next and from a column to the next,
 * one of which is an element's size.
 */
public record Matrix(long address, long rowStride, long columnStride) {

  public static final long ELEMENT = Float.BYTES;

  /** Rows that follow each other without a gap. */
  public static Matrix ofRows(long address, int columns) {
    return new Matrix(address, ELEMENT * columns, ELEMENT);
  }

  /** What begins at a row and a column. */
  public Matrix from(int row, int column) {
    return new Matrix(at(row, column), rowStride, columnStride);
  }

  public Matrix transposed() {
    return new Matrix(address, columnStride, rowStride);
  }

  public long at(int row, int column) {
    return address + row * rowStride + column * columnStride;
  }

  /** Copies the first rows and columns to the same of a target; both by rows. */
  public void copyTo(Matrix target, int rows, int columns) {
    for (int i = 0; i < rows; i++) {
      Native.copy(at(i, 0), target.at(i, 0), columns);
    }
  }

  /** Whether a row's elements lie together. */
  public boolean isByRows() {
    return columnStride == ELEMENT;
  }
}
