package io.millrace.model.cpu;

import static io.millrace.model.cpu.tiles.Matrix.ELEMENT;
import static io.millrace.model.cpu.tiles.Native.load;
import static io.millrace.model.cpu.tiles.Native.store;

import io.millrace.model.cpu.tiles.Lanes;
import io.millrace.model.cpu.tiles.Matrix;
import io.millrace.model.cpu.tiles.Native;
import io.millrace.model.cpu.tiles.Tiles;

/**
 * Matrix products by {@link Tiles}, blocked for the caches as by Goto and van de Geijn ("Anatomy of
 * high-performance matrix multiplication", ACM TOMS 34(3), 2008, section 4). A block of b is copied
 * to panels, each as wide as a tile. It stays in the second-level cache while all rows of a pass
 * by. The rows of a for one tile stay in the first-level cache while all panels pass by. Unlike
 * there, an operand is read in place if a copy would not pay. This applies to the rows of a, and to
 * b if a is transposed.
 *
 * <p>The sum of an element runs over blocks of k. Each block is a sum of its own, which starts at
 * 0; the blocks are added in their order. One sum over all of k would round a growing sum k times:
 * at k = 32,003, a large vocabulary, its error was nine times that of blocks. The bits of an
 * element do not depend on other rows and columns, on the split over threads, or on the vector
 * width.
 */
final class TiledGemm implements Gemm {

  /** Maximum part of k at a time, if b is copied. */
  private static final int MAX_K = 512;

  /** Maximum part of k at a time, if b is read in place, where its rows are far apart. */
  private static final int MAX_K_IN_PLACE = 128;

  /** Elements of a block of b: 256 KiB. */
  private static final int BLOCK = 64 * 1024;

  /** Columns of c from which a copy of a transposed a pays, if a tile has few rows. */
  private static final int COPIED_FROM_COLUMNS = 256;

  private static final int FEW_ROWS = 8;

  /**
   * Rows at this distance in bytes map to the same set of the first-level cache, which has 8 ways.
   */
  private static final long ALIAS = 4096;

  private static final int MAX_ALIASED_ROWS = 7;

  private final Tiles tiles;
  private final Workspace workspace;
  private final int panel;
  private final long panelRow;

  /**
   * Products by the given tiles. Copies use the Vector API, so the tiles' vectors must have its
   * width.
   */
  TiledGemm(Tiles tiles, Workspace workspace) {
    if (tiles.lanes() != Lanes.WIDTH) {
      throw new IllegalArgumentException(
          "tiles have vectors of %d lanes but must have %d, those of the Vector API"
              .formatted(tiles.lanes(), Lanes.WIDTH));
    }
    this.tiles = tiles;
    this.workspace = workspace;
    this.panel = tiles.columns();
    this.panelRow = ELEMENT * panel;
  }

  @Override
  public void multiply(int worker, int m, int n, int k, Matrix a, Matrix b, boolean add, Matrix c) {
    Product product = new Product(worker, m, n, a, b, add, c);
    int parts = Math.ceilDiv(k, product.inPlace ? MAX_K_IN_PLACE : MAX_K);
    int most = Math.ceilDiv(Math.ceilDiv(k, parts), Tiles.SQUARE) * Tiles.SQUARE;
    for (int from = 0; from < k; from += most) {
      int ks = Math.min(most, k - from);
      if (product.inPlace) {
        product.inPlace(from, ks);
      } else {
        product.byBlocks(from, ks);
      }
    }
  }

  private final class Product {
    final int m;
    final int n;
    final Matrix a;
    final Matrix b;
    final boolean add;
    final Matrix c;
    final int height;
    final boolean inPlace;
    final boolean copiesRows;

    /** Scratch memory for the panels of b. */
    final long block;

    /** Scratch memory for the rows of a, if b is read in place. */
    final long rows;

    /** Scratch memory for a tile at the edge of c. */
    final long edge;

    Product(int worker, int m, int n, Matrix a, Matrix b, boolean add, Matrix c) {
      this.m = m;
      this.n = n;
      this.a = a;
      this.b = b;
      this.add = add;
      this.c = c;
      boolean aliased = a.isByRows() && a.rowStride() % ALIAS == 0;
      height = aliased ? Math.min(MAX_ALIASED_ROWS, tiles.rows()) : tiles.rows();
      inPlace = !a.isByRows() && b.isByRows();
      copiesRows = inPlace && tiles.rows() < FEW_ROWS && n >= COPIED_FROM_COLUMNS;
      int ofEdge = tiles.rows() * panel;
      int ofRows = MAX_K_IN_PLACE * tiles.rows() + tiles.lanes();
      CpuTensor memory = workspace.of(worker, BLOCK + ofEdge + ofRows);
      block = memory.address(0);
      edge = memory.address(BLOCK);
      rows = memory.address(BLOCK + ofEdge);
    }

    /**
     * Computes the products for {@code ks} values of k from {@code fromK}, with one block of b at a
     * time.
     */
    void byBlocks(int fromK, int ks) {
      int most = BLOCK / ks / panel * panel;
      for (int from = 0; from < n; from += most) {
        int columns = Math.min(most, n - from);
        for (int j = 0; j < columns; j += panel) {
          copyPanel(fromK, ks, from + j, Math.min(panel, columns - j), block + ELEMENT * j * ks);
        }
        int whole = columns / panel;
        long step = panelRow * ks;
        allRows(fromK, ks, from, columns, panelRows(block), step, block + whole * step);
      }
    }

    /**
     * As {@link #byBlocks}, with b read in place. Only the last panel is copied, if it is not
     * whole.
     */
    void inPlace(int fromK, int ks) {
      int rest = n % panel;
      if (rest > 0) {
        copyPanel(fromK, ks, n - rest, rest, block);
      }
      allRows(fromK, ks, 0, n, b.from(fromK, 0), panelRow, block);
    }

    /** Copies a part of b to a panel {@code [ks, panel]}, padded with zeros. */
    private void copyPanel(int fromK, int ks, int from, int columns, long at) {
      Matrix source = b.from(fromK, from);
      Matrix target = panelRows(at);
      if (columns < panel) {
        Native.zero(at, (long) ks * panel);
      }
      if (!b.isByRows()) {
        tiles.transposeMatrix(columns, ks, source.transposed(), target);
      } else if (columns < panel) {
        source.copyTo(target, ks, columns);
      } else {
        for (int p = 0; p < ks; p++) {
          store(load(source.at(p, 0)), target.at(p, 0));
          store(load(source.at(p, tiles.lanes())), target.at(p, tiles.lanes()));
        }
      }
    }

    /** Scratch memory as a matrix whose rows are as wide as a panel. */
    private Matrix panelRows(long at) {
      return new Matrix(at, panelRow, ELEMENT);
    }

    /**
     * Computes some columns of c, tile by tile.
     *
     * @param panels whole panels of b, {@code step} bytes apart
     * @param last address of the last panel, if it is not whole
     */
    private void allRows(
        int fromK, int ks, int from, int columns, Matrix panels, long step, long last) {
      int whole = columns / panel;
      int rest = columns % panel;
      Tiles.Sums sums = add || fromK > 0 ? Tiles.Sums.ADDED : Tiles.Sums.NEW;
      for (int i = 0; i < m; i += height) {
        int count = Math.min(height, m - i);
        Matrix part = a.from(i, fromK);
        // The copy reads whole vectors, which are longer than a tile and must not reach beyond the
        // matrix.
        if (copiesRows && i + tiles.lanes() <= m) {
          part = copyRows(part, ks);
        }
        Matrix to = c.from(i, from);
        if (whole > 0) {
          tiles.multiply(
              count, Tiles.VECTORS, sums, part, panels, to, ks, whole, 0, step, panelRow);
        }
        if (rest > 0) {
          edge(count, rest, sums, part, last, to.from(0, whole * panel), ks);
        }
      }
    }

    /** Copies the rows of a transposed a for one tile, so that they are contiguous. */
    private Matrix copyRows(Matrix part, int ks) {
      long step = ELEMENT * tiles.rows();
      long from = part.address();
      for (int p = 0; p < ks; p++) {
        // The next vector overwrites the elements beyond the tile.
        store(load(from), rows + p * step);
        from += part.columnStride();
      }
      return new Matrix(rows, ELEMENT, step);
    }

    /**
     * Computes a tile with fewer columns than a panel. It goes through a whole tile in scratch
     * memory unless its columns are whole vectors.
     */
    private void edge(
        int count, int columns, Tiles.Sums sums, Matrix part, long last, Matrix to, int ks) {
      int vectors = Math.ceilDiv(columns, tiles.lanes());
      boolean direct = columns == vectors * tiles.lanes();
      Matrix target = direct ? to : panelRows(edge);
      if (!direct && sums != Tiles.Sums.NEW) {
        to.copyTo(target, count, columns);
      }
      tiles.multiply(count, vectors, sums, part, panelRows(last), target, ks, 1, 0, 0, 0);
      if (!direct) {
        target.copyTo(to, count, columns);
      }
    }
  }
}
