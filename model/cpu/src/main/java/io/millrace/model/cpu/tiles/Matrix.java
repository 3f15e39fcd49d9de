package io.millrace.model.cpu.tiles;

/**
 * The position of a matrix in native memory.
 *
 * @param address address of the first element
 * @param rowStride distance of rows in bytes
 * @param columnStride distance of columns in bytes; one of the strides is {@link #ELEMENT}
 */
public record Matrix(long address, long rowStride, long columnStride) {

  /** Size of an element in bytes. */
  public static final long ELEMENT = Float.BYTES;

  /** A row-major matrix without gaps between rows. */
  public static Matrix ofRows(long address, int columns) {
    return new Matrix(address, ELEMENT * columns, ELEMENT);
  }

  /** The part of the matrix from a row and a column on. */
  public Matrix from(int row, int column) {
    return new Matrix(at(row, column), rowStride, columnStride);
  }

  /** The matrix of the same strides that begins some bytes later. */
  public Matrix plus(long bytes) {
    return new Matrix(address + bytes, rowStride, columnStride);
  }

  /** The transposed matrix, over the same memory. */
  public Matrix transposed() {
    return new Matrix(address, columnStride, rowStride);
  }

  /** Address of an element. */
  public long at(int row, int column) {
    return address + row * rowStride + column * columnStride;
  }

  /** Copies the first rows and columns to a target; both matrices are row-major. */
  public void copyTo(Matrix target, int rows, int columns) {
    for (int i = 0; i < rows; i++) {
      Native.copy(at(i, 0), target.at(i, 0), columns);
    }
  }

  /** Whether the matrix is row-major. */
  public boolean isByRows() {
    return columnStride == ELEMENT;
  }
}
