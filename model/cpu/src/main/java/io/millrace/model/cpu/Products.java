package io.millrace.model.cpu;

import static io.millrace.model.cpu.tiles.Lanes.FOUR;
import static io.millrace.model.cpu.tiles.Lanes.WIDTH;
import static io.millrace.model.cpu.tiles.Lanes.load;
import static io.millrace.model.cpu.tiles.Lanes.rest;
import static io.millrace.model.cpu.tiles.Lanes.store;
import static io.millrace.model.cpu.tiles.Lanes.sum;
import static io.millrace.model.cpu.tiles.Lanes.sums;
import static io.millrace.model.cpu.tiles.Lanes.zero;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import io.millrace.model.cpu.tiles.Matrix;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/** Matrix products, split over the threads of the pool. */
final class Products {

  /** Multiply-adds below which a second thread does not pay. */
  private static final long MIN_WORK = 128 * 1024;

  /** Minimum rows of a part: with fewer, tiles are half empty. */
  private static final int MIN_ROWS = 16;

  private final WorkPool pool;
  private final Gemm gemm;

  Products(WorkPool pool, Gemm gemm) {
    this.pool = pool;
    this.gemm = gemm;
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
   */
  void linearBackward(CpuTensor dx, CpuTensor dw, CpuTensor dout, CpuTensor x, CpuTensor w) {
    int n = x.rows();
    int i = x.columns();
    int o = w.rows();
    long work = (long) n * i * o;
    int half = Math.ceilDiv(pool.budget(), 2);
    int rowParts = parts(n, work, half);
    int weightParts = parts(o, work, half);
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

  /** {@code dx [n, i] += dout [n, o] · w}, for frozen weights. */
  void linearBackward(CpuTensor dx, CpuTensor dout, CpuTensor w) {
    int n = dx.rows();
    int i = dx.columns();
    int o = w.rows();
    int parts = parts(n, (long) n * i * o);
    pool.run(
        parts,
        (part, worker) -> {
          int from = bound(n, part, parts);
          int rows = bound(n, part + 1, parts) - from;
          gemm.multiply(
              worker,
              rows,
              i,
              o,
              dout.matrix().from(from, 0),
              w.matrix(),
              true,
              dx.matrix().from(from, 0));
        });
  }

  /** Rows of w for one pass over a row of x. */
  private static final int TILE = 4;

  /**
   * {@code out [n, o] = x [n, i] · wᵀ} for few rows. Each element is one dot product, summed lane
   * by lane in the order of i. It does not depend on the other rows. The weights are read once for
   * every two rows of x, in tiles that stay in the first-level cache.
   */
  void linearByRow(CpuTensor out, CpuTensor x, CpuTensor w) {
    int n = x.rows();
    int i = x.columns();
    int o = w.rows();
    int tiles = Math.ceilDiv(o, TILE);
    int units = parts(o, (long) n * i * o) == 1 ? 1 : pool.budget();
    pool.run(
        units,
        (unit, worker) -> {
          int end = (int) ((long) tiles * (unit + 1) / units);
          for (int tile = (int) ((long) tiles * unit / units); tile < end; tile++) {
            int first = tile * TILE;
            if (first + TILE <= o) {
              int row = 0;
              for (; row + 1 < n; row += 2) {
                dotTwoByFour(out.memory(), x.memory(), w.memory(), row, first, i, o);
              }
              if (row < n) {
                dotFour(out.memory(), x.memory(), w.memory(), row, first, i, o);
              }
            } else {
              for (int row = 0; row < n; row++) {
                for (int column = first; column < o; column++) {
                  dot(out.memory(), x.memory(), w.memory(), row, column, i, o);
                }
              }
            }
          }
        });
  }

  private static void dotTwoByFour(
      MemorySegment out, MemorySegment x, MemorySegment w, int row, int column, int i, int o) {
    long xa = (long) row * i;
    long xb = xa + i;
    long w0 = (long) column * i;
    long w1 = w0 + i;
    long w2 = w1 + i;
    long w3 = w2 + i;
    FloatVector a0 = zero();
    FloatVector a1 = zero();
    FloatVector a2 = zero();
    FloatVector a3 = zero();
    FloatVector b0 = zero();
    FloatVector b1 = zero();
    FloatVector b2 = zero();
    FloatVector b3 = zero();
    int j = 0;
    for (; j <= i - WIDTH; j += WIDTH) {
      FloatVector a = load(x, xa + j);
      FloatVector b = load(x, xb + j);
      FloatVector weight = load(w, w0 + j);
      a0 = a.fma(weight, a0);
      b0 = b.fma(weight, b0);
      weight = load(w, w1 + j);
      a1 = a.fma(weight, a1);
      b1 = b.fma(weight, b1);
      weight = load(w, w2 + j);
      a2 = a.fma(weight, a2);
      b2 = b.fma(weight, b2);
      weight = load(w, w3 + j);
      a3 = a.fma(weight, a3);
      b3 = b.fma(weight, b3);
    }
    if (j < i) {
      VectorMask<Float> mask = rest(j, i);
      FloatVector a = load(x, xa + j, mask);
      FloatVector b = load(x, xb + j, mask);
      a0 = a.fma(load(w, w0 + j, mask), a0);
      b0 = b.fma(load(w, w0 + j, mask), b0);
      a1 = a.fma(load(w, w1 + j, mask), a1);
      b1 = b.fma(load(w, w1 + j, mask), b1);
      a2 = a.fma(load(w, w2 + j, mask), a2);
      b2 = b.fma(load(w, w2 + j, mask), b2);
      a3 = a.fma(load(w, w3 + j, mask), a3);
      b3 = b.fma(load(w, w3 + j, mask), b3);
    }
    long to = (long) row * o + column;
    put(out, to, a0, a1, a2, a3);
    put(out, to + o, b0, b1, b2, b3);
  }

  private static void dotFour(
      MemorySegment out, MemorySegment x, MemorySegment w, int row, int column, int i, int o) {
    long xa = (long) row * i;
    long w0 = (long) column * i;
    long w1 = w0 + i;
    long w2 = w1 + i;
    long w3 = w2 + i;
    FloatVector a0 = zero();
    FloatVector a1 = zero();
    FloatVector a2 = zero();
    FloatVector a3 = zero();
    int j = 0;
    for (; j <= i - WIDTH; j += WIDTH) {
      FloatVector a = load(x, xa + j);
      a0 = a.fma(load(w, w0 + j), a0);
      a1 = a.fma(load(w, w1 + j), a1);
      a2 = a.fma(load(w, w2 + j), a2);
      a3 = a.fma(load(w, w3 + j), a3);
    }
    if (j < i) {
      VectorMask<Float> mask = rest(j, i);
      FloatVector a = load(x, xa + j, mask);
      a0 = a.fma(load(w, w0 + j, mask), a0);
      a1 = a.fma(load(w, w1 + j, mask), a1);
      a2 = a.fma(load(w, w2 + j, mask), a2);
      a3 = a.fma(load(w, w3 + j, mask), a3);
    }
    put(out, (long) row * o + column, a0, a1, a2, a3);
  }

  private static void dot(
      MemorySegment out, MemorySegment x, MemorySegment w, int row, int column, int i, int o) {
    long xa = (long) row * i;
    long w0 = (long) column * i;
    FloatVector sum = zero();
    int j = 0;
    for (; j <= i - WIDTH; j += WIDTH) {
      sum = load(x, xa + j).fma(load(w, w0 + j), sum);
    }
    if (j < i) {
      VectorMask<Float> mask = rest(j, i);
      sum = load(x, xa + j, mask).fma(load(w, w0 + j, mask), sum);
    }
    out.setAtIndex(JAVA_FLOAT, (long) row * o + column, sum(sum));
  }

  private static void put(
      MemorySegment out, long at, FloatVector v0, FloatVector v1, FloatVector v2, FloatVector v3) {
    store(sums(v0, v1, v2, v3), out, at, FOUR);
  }
}
