package io.millrace.model.cpu.tiles;

/**
 * Small matrix products whose sums stay in registers. All larger products consist of them.
 * Addresses, strides and steps are in bytes and are not checked.
 *
 * <p>The sum of an element runs in the order of k, with one rounding for each term. It does not
 * depend on the other elements or on the vector width.
 */
public interface Tiles {

  /** Maximum vectors in a row of a tile. */
  int VECTORS = 2;

  /** What becomes of c. */
  enum Sums {
    /** {@code c = a · b}. */
    NEW,
    /** {@code c += a · b}; the sum starts at c, as if it were one sum with the one in c. */
    CONTINUED,
    /** {@code c += a · b}; the sum starts at 0, and is added to c at the end. */
    ADDED
  }

  /** Side of the squares of {@link #transpose}. */
  int SQUARE = 8;

  /**
   * The fastest tiles of this machine. These are machine code on x86-64 with AVX2, unless the
   * system property {@value MachineTiles#ALLOWED} is false or the system forbids generated code.
   * Otherwise they use the Vector API.
   */
  static Tiles ofThisMachine() {
    return ThisMachine.TILES;
  }

  /** The tiles of this machine, created on first use. */
  final class ThisMachine {
    private static final Tiles TILES =
        MachineTiles.ifSupported().map(Tiles.class::cast).orElseGet(VectorTiles::new);

    private ThisMachine() {}
  }

  /** The instructions that the tiles use, such as AVX2. */
  @Override
  String toString();

  /** Maximum rows of a tile. */
  int rows();

  /** Elements of a vector. */
  default int lanes() {
    return Lanes.WIDTH;
  }

  /** Maximum columns of a tile. */
  default int columns() {
    return VECTORS * lanes();
  }

  /**
   * Computes {@code count} tiles: {@code c = a · b}, or {@code c += a · b}.
   *
   * @param rows 1 to {@link #rows}
   * @param vectors 1 to {@link #VECTORS}
   * @param sums whether to overwrite c or to add to it
   * @param a {@code [rows, k]}, with any strides
   * @param b {@code [k, vectors · lanes]}, row-major
   * @param c {@code [rows, vectors · lanes]}, row-major
   * @param k at least 1
   * @param count number of tiles, at least 1
   * @param aStep distance of a from one tile to the next
   * @param bStep distance of b from one tile to the next
   * @param cStep distance of c from one tile to the next
   */
  void multiply(
      int rows,
      int vectors,
      Sums sums,
      Matrix a,
      Matrix b,
      Matrix c,
      int k,
      int count,
      long aStep,
      long bStep,
      long cStep);

  /** As {@link #multiply}, for any number of rows: whole tiles, then the remaining rows. */
  default void multiplyRows(int m, int vectors, Sums sums, Matrix a, Matrix b, Matrix c, int k) {
    int whole = m / rows();
    int rest = m % rows();
    if (whole > 0) {
      long aStep = rows() * a.rowStride();
      long cStep = rows() * c.rowStride();
      multiply(rows(), vectors, sums, a, b, c, k, whole, aStep, 0, cStep);
    }
    if (rest > 0) {
      int done = whole * rows();
      multiply(rest, vectors, sums, a.from(done, 0), b, c.from(done, 0), k, 1, 0, 0, 0);
    }
  }

  /** Transposes {@code count} squares of {@link #SQUARE} × SQUARE elements, at least one. */
  void transpose(
      long from, long fromStride, long to, long toStride, int count, long fromStep, long toStep);

  /**
   * to {@code [columns, rows]} = the transpose of from {@code [rows, columns]}; both are row-major.
   */
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
