package io.millrace.model.cpu;

import io.millrace.model.cpu.tiles.Matrix;

/** Matrix products, split over the threads of the pool. */
final class Products {

  /** Multiply-adds below which a second thread does not pay. */
  static final long MIN_WORK = 128 * 1024;

  /** Minimum rows of a part: with fewer, tiles are half empty. */
  private static final int MIN_ROWS = 16;

  private final WorkPool pool;
  private final Gemm gemm;
  private final Workspace scratch;

  Products(WorkPool pool, Gemm gemm, Workspace scratch) {
    this.pool = pool;
    this.gemm = gemm;
    this.scratch = scratch;
  }

  /** Number of parts to split the rows into, given the number of multiply-adds. */
  private int parts(int rows, long work) {
    return parts(rows, work, pool.budget());
  }

  private static int parts(int rows, long work, int threads) {
    long parts = Math.min(Math.max(1, work / MIN_WORK), Math.max(1, rows / MIN_ROWS));
    return (int) Math.min(threads, parts);
  }

  /** First row of a part. */
  private static int bound(int rows, int part, int parts) {
    // Parts begin on cache lines, for rows and for columns.
    int tiles = Math.ceilDiv(rows, MIN_ROWS);
    return Math.min(rows, (int) ((long) tiles * part / parts) * MIN_ROWS);
  }

  /** {@code out [n, o] = x [n, i] · wᵀ}, with w {@code [o, i]}. */
  void linear(CpuTensor out, CpuTensor x, CpuTensor w) {
    int n = x.rows();
    int i = x.columns();
    int o = w.rows();
    long work = (long) n * i * o;
    Matrix ofX = x.matrix();
    Matrix transposed = w.matrix().transposed();
    Matrix ofOut = out.matrix();
    // With few rows the columns are split: each thread then reads its own part of the weights.
    if (n < pool.budget() * MIN_ROWS) {
      int parts = parts(o, work);
      pool.run(
          parts,
          (part, worker) -> {
            int from = bound(o, part, parts);
            int size = bound(o, part + 1, parts) - from;
            gemm.multiply(
                worker, n, size, i, ofX, transposed.from(0, from), false, ofOut.from(0, from));
          });
      return;
    }
    int parts = parts(n, work);
    pool.run(
        parts,
        (part, worker) -> {
          int from = bound(n, part, parts);
          int rows = bound(n, part + 1, parts) - from;
          gemm.multiply(
              worker, rows, o, i, ofX.from(from, 0), transposed, false, ofOut.from(from, 0));
        });
  }

  /**
   * {@code dx [n, i] += dout [n, o] · w} and {@code dw [o, i] += doutᵀ · x}. Both products need the
   * same arithmetic, so each gets half of the threads.
   *
   * @param dw null if w is frozen; dx then gets all threads
   */
  void linearBackward(CpuTensor dx, CpuTensor dw, CpuTensor dout, CpuTensor x, CpuTensor w) {
    int n = x.rows();
    int i = x.columns();
    int o = w.rows();
    long work = (long) n * i * o;
    int threads = dw == null ? pool.budget() : Math.ceilDiv(pool.budget(), 2);
    int rowParts = parts(n, work, threads);
    int weightParts = dw == null ? 0 : parts(o, work, threads);
    Matrix ofDout = dout.matrix();
    pool.run(
        rowParts + weightParts,
        (part, worker) -> {
          if (part < rowParts) {
            int from = bound(n, part, rowParts);
            int rows = bound(n, part + 1, rowParts) - from;
            gemm.multiply(
                worker,
                rows,
                i,
                o,
                ofDout.from(from, 0),
                w.matrix(),
                true,
                dx.matrix().from(from, 0));
          } else {
            int from = bound(o, part - rowParts, weightParts);
            int rows = bound(o, part - rowParts + 1, weightParts) - from;
            gemm.multiply(
                worker,
                rows,
                i,
                n,
                ofDout.from(0, from).transposed(),
                x.matrix(),
                true,
                dw.matrix().from(from, 0));
          }
        });
  }

  /** {@code out [n, o] = x [n, i] · wᵀ} for few rows, by {@link Dots}. */
  void linearByRow(CpuTensor out, CpuTensor x, CpuTensor w) {
    int o = w.rows();
    int tiles = Math.ceilDiv(o, Dots.COLUMNS);
    int units = parts(o, (long) x.rows() * x.columns() * o) == 1 ? 1 : pool.budget();
    Dots dots = new Dots(out, x, w, units, scratch, pool.slot());
    pool.run(
        units,
        (unit, worker) -> {
          int from = (int) ((long) tiles * unit / units) * Dots.COLUMNS;
          int to = (int) ((long) tiles * (unit + 1) / units) * Dots.COLUMNS;
          dots.columns(unit, from, Math.min(o, to));
        });
  }
}
