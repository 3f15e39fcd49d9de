package io.millrace.model.cpu;

import static io.millrace.model.cpu.tiles.Matrix.ELEMENT;
import static io.millrace.model.cpu.tiles.Native.load;
import static io.millrace.model.cpu.tiles.Native.store;

import io.millrace.model.cpu.tiles.Lanes;
import io.millrace.model.cpu.tiles.Matrix;
import io.millrace.model.cpu.tiles.Native;
import io.millrace.model.cpu.tiles.Tiles;

/**
 * Products by {@link Tiles}, blocked for the caches as by Goto and van de Geijn ("Anatomy of
 * high-performance matrix multiplication", ACM TOMS 34(3), 2008, section 4): a block of b, copied
 * into panels as wide as a tile, stays in the second-level cache while all rows of a go by, and a
 * tile's rows of a stay in the first-level cache while all panels do. Unlike there, what copying
 * would not repay is read where it lies: rows of a; and b, where a is transposed.
 *
 * <p>Each element is summed in the order of k by itself: its bits depend neither on other rows and
 * columns, nor on how threads share them, nor on how wide vectors are.
 */
final class TiledGemm implements Gemm {

  /** Of k at once, where b is copied. */
  private static final int MOST_K = 512;

  /** Of k at once, where b's rows lie as far apart as they do. */
  private static final int MOST_K_IN_PLACE = 128;

  /** Elements of a block of b: 256 KiB. */
  private static final int BLOCK = 64 * 1024;

  /** Columns of c from which on copying a transposed a is repaid, where a tile has few rows. */
  private static final int COPIED_FROM_COLUMNS = 256;

  private static final int FEW_ROWS = 8;

  /** Rows this far apart have the same lines of the first-level cache, and there are 8 of them. */
  private static final long ALIAS = 4096;

  private static final int MOST_ALIASED_ROWS = 7;

  private final Tiles tiles;
  private final Workspace workspace;
  private final int panel;
  private final long panelRow;

  /** With tiles whose vectors are the Vector API's, which copies for them. */
  TiledGemm(Tiles tiles, Workspace workspace) {
    if (tiles.lanes() != Lanes.WIDTH) {
      throw new IllegalArgumentException(
          "tiles of %d lanes, copies of %d".formatted(tiles.lanes(), Lanes.WIDTH));
    }
    this.tiles = tiles;
    this.workspace = workspace;
    this.panel = tiles.columns();
    this.panelRow = ELEMENT * panel;
  }

  @Override
  public void multiply(int worker, int m, int n, int k, Matrix a, Matrix b, boolean add, Matrix c) {
    Product product = new Product(worker, m, n, a, b, add, c);
    int parts = Math.ceilDiv(k, product.inPlace ? MOST_K_IN_PLACE : MOST_K);
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

    /** Scratch memory: panels of b; rows of a, where b is read in place; a tile. */
    final long block;

    final long rows;
    final long edge;

    Product(int worker, int m, int n, Matrix a, Matrix b, boolean add, Matrix c) {
      this.m = m;
      this.n = n;
      this.a = a;
      this.b = b;
      this.add = add;
      this.c = c;
      boolean aliased = a.isByRows() && a.rowStride() % ALIAS == 0;
      height = aliased ? Math.min(MOST_ALIASED_ROWS, tiles.rows()) : tiles.rows();
      inPlace = !a.isByRows() && b.isByRows();
      copiesRows = inPlace && tiles.rows() < FEW_ROWS && n >= COPIED_FROM_COLUMNS;
      int ofEdge = tiles.rows() * panel;
      int ofRows = MOST_K_IN_PLACE * tiles.rows() + tiles.lanes();
      CpuTensor memory = workspace.of(worker, BLOCK + ofEdge + ofRows);
      block = memory.address(0);
      edge = memory.address(BLOCK);
      rows = memory.address(BLOCK + ofEdge);
    }

    /** Adds the products of k's {@code ks} from {@code fromK}, a block of b at a time. */
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

    /** The same, with b read where it lies; only a last panel that is not whole is copied. */
    void inPlace(int fromK, int ks) {
      int rest = n % panel;
      if (rest > 0) {
        copyPanel(fromK, ks, n - rest, rest, block);
      }
      allRows(fromK, ks, 0, n, b.from(fromK, 0), panelRow, block);
    }

    /** A panel [ks, panel] = a part of b, and 0 beyond. */
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

    /** Scratch memory whose rows are as wide as a panel. */
    private Matrix panelRows(long at) {
      return new Matrix(at, panelRow, ELEMENT);
    }

    /**
     * Columns of c, tile after tile.
     *
     * @param panels b's whole panels, {@code step} apart
     * @param last where the panel begins that is not whole
     */
    private void allRows(
        int fromK, int ks, int from, int columns, Matrix panels, long step, long last) {
      int whole = columns / panel;
      int rest = columns % panel;
      boolean sum = add || fromK > 0;
      for (int i = 0; i < m; i += height) {
        int count = Math.min(height, m - i);
        Matrix part = a.from(i, fromK);
        // A vector is read where a tile has fewer rows: not beyond the matrix.
        if (copiesRows && i + tiles.lanes() <= m) {
          part = copyRows(part, ks);
        }
        Matrix to = c.from(i, from);
        if (whole > 0) {
          tiles.multiply(count, Tiles.VECTORS, sum, part, panels, to, ks, whole, 0, step, panelRow);
        }
        if (rest > 0) {
          edge(count, rest, sum, part, last, to.from(0, whole * panel), ks);
        }
      }
    }

    /** A tile's rows of a transposed a, where all their numbers lie together. */
    private Matrix copyRows(Matrix part, int ks) {
      long step = ELEMENT * tiles.rows();
      long from = part.address();
      for (int p = 0; p < ks; p++) {
        // What the vector holds beyond the tile, the next one overwrites.
        store(load(from), rows + p * step);
        from += part.columnStride();
      }
      return new Matrix(rows, ELEMENT, step);
    }

    /** A tile of fewer columns than a panel, by way of a whole one unless vectors are whole. */
    private void edge(
        int count, int columns, boolean sum, Matrix part, long last, Matrix to, int ks) {
      int vectors = Math.ceilDiv(columns, tiles.lanes());
      boolean direct = columns == vectors * tiles.lanes();
      Matrix target = direct ? to : panelRows(edge);
      if (!direct && sum) {
        to.copyTo(target, count, columns);
      }
      tiles.multiply(count, vectors, sum, part, panelRows(last), target, ks, 1, 0, 0, 0);
      if (!direct) {
        target.copyTo(to, count, columns);
      }
    }
  }
}
