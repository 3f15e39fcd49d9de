package io.millrace.model.cpu.tiles;

/**
 * Small matrix products whose sums stay in registers: what all larger ones are made of. Addresses,
 * strides and steps are in bytes, and nobody checks them.
 *
 * <p>An element's sum goes in the order of k, one rounding a term, whatever else is computed beside
 * it and however wide vectors are.
 */
public interface Tiles {

  /** Vectors of a tile's row at most. */
  int VECTORS = 2;

  /** The side of what {@link #transpose} transposes. */
  int SQUARE = 8;

  /**
   * The fastest that this machine runs: machine code on x86-64 with AVX2, unless the system
   * property {@value MachineTiles#ALLOWED} is false or the system forbids it; else the Vector API.
   */
  static Tiles ofThisMachine() {
    return ThisMachine.TILES;
  }

  /** Made when it is first asked for. */
  final class ThisMachine {
    private static final Tiles TILES =
        MachineTiles.ifSupported().map(Tiles.class::cast).orElseGet(VectorTiles::new);

    private ThisMachine() {}
  }

  /** What they are made of. */
  @Override
  String toString();

  /** Rows of a tile at most. */
  int rows();

  /** Elements of a vector. */
  default int lanes() {
    return Lanes.WIDTH;
  }

  /** Columns of a tile at most. */
  default int columns() {
    return VECTORS * lanes();
  }

  /**
   * c [rows, vectors · lanes] = or += a [rows, k] · b [k, vectors · lanes], and so on for {@code
   * count} such tiles.
   *
   * @param rows 1 to {@link #rows}
   * @param vectors 1 to {@link #VECTORS}
   * @param add whether c is added to, not overwritten
   * @param a with any strides
   * @param b by rows, like c
   * @param k at least 1
   * @param count at least 1
   * @param aStep from a tile's a to the next tile's; bStep and cStep likewise
   */
  void multiply(
      int rows,
      int vectors,
      boolean add,
      Matrix a,
      Matrix b,
      Matrix c,
      int k,
      int count,
      long aStep,
      long bStep,
      long cStep);

  /** The same for any number of rows: whole tiles and what is left. */
  default void multiplyRows(int m, int vectors, boolean add, Matrix a, Matrix b, Matrix c, int k) {
    int whole = m / rows();
    int rest = m % rows();
    if (whole > 0) {
      long aStep = rows() * a.rowStride();
      long cStep = rows() * c.rowStride();
      multiply(rows(), vectors, add, a, b, c, k, whole, aStep, 0, cStep);
    }
    if (rest > 0) {
      int done = whole * rows();
      multiply(rest, vectors, add, a.from(done, 0), b, c.from(done, 0), k, 1, 0, 0, 0);
    }
  }

  /** Writes {@code count} squares of {@link #SQUARE} × SQUARE elements transposed, 1 or more. */
  void transpose(
      long from, long fromStride, long to, long toStride, int count, long fromStep, long toStep);

  /** to [columns, rows] = from [rows, columns], transposed; both by rows. */
  default void transposeMatrix(int rows, int columns, Matrix from, Matrix to) {
    int squares = columns / SQUARE;
    for (int row = 0; row < rows; row += SQUARE) {
      int done = 0;
      if (squares > 0 && row + SQUARE <= rows) {
        transpose(
            from.at(row, 0),
            from.rowStride(),
            to.at(0, row),
            to.rowStride(),
            squares,
            Matrix.ELEMENT * SQUARE,
            to.rowStride() * SQUARE);
        done = squares * SQUARE;
      }
      for (int i = row; i < Math.min(row + SQUARE, rows); i++) {
        for (int j = done; j < columns; j++) {
          Native.put(to.at(j, i), Native.get(from.at(i, j)));
        }
      }
    }
  }
}
