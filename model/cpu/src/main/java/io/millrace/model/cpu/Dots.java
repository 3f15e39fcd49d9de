package io.millrace.model.cpu;

import static io.millrace.model.cpu.tiles.Lanes.WIDTH;
import static io.millrace.model.cpu.tiles.Lanes.first;
import static io.millrace.model.cpu.tiles.Lanes.padded;
import static io.millrace.model.cpu.tiles.Lanes.rest;
import static io.millrace.model.cpu.tiles.Lanes.sum;
import static io.millrace.model.cpu.tiles.Lanes.sums;
import static io.millrace.model.cpu.tiles.Lanes.whole;
import static io.millrace.model.cpu.tiles.Lanes.zero;
import static io.millrace.model.cpu.tiles.Matrix.ELEMENT;
import static io.millrace.model.cpu.tiles.Native.load;
import static io.millrace.model.cpu.tiles.Native.store;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import io.millrace.model.cpu.tiles.Lanes;
import io.millrace.model.cpu.tiles.Native;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/**
 * Products of few rows with weights, {@code out [n, o] = x [n, i] · wᵀ}. Each element is one dot
 * product, summed lane by lane in the order of i. It does not depend on the other rows.
 *
 * <p>If i is no multiple of the vector width, the last vector of a row of w overlaps the one before
 * it, or the next row if there is none. x is then copied, with 0 for the elements that do not
 * count. No load needs a mask, and the methods stay below the compiler's limit for inlining.
 */
final class Dots {

  /** Rows of w for one pass over a row of x. */
  static final int COLUMNS = 4;

  private static final long VECTOR = ELEMENT * WIDTH;

  /** Elements of scratch memory for the sums of a tile. */
  private static final int TILE = 2 * WIDTH;

  private final CpuTensor out;
  private final CpuTensor x;
  private final CpuTensor w;

  /** Address of rows of whole vectors: those of x, or of its copy. */
  private final long vectors;

  /** Address of scratch memory for a tile of each unit. */
  private final long edges;

  /**
   * Prepares the products.
   *
   * @param units number of calls of {@link #columns} that can run at once
   * @param worker index of the calling thread, whose scratch memory all units use
   */
  Dots(CpuTensor out, CpuTensor x, CpuTensor w, int units, Workspace workspace, int worker) {
    this.out = out;
    this.x = x;
    this.w = w;
    int i = x.columns();
    boolean copies = i % WIDTH > 0;
    long ofCopy = copies ? (long) x.rows() * padded(i) : 0;
    CpuTensor scratch = workspace.of(worker, ofCopy + (long) units * TILE);
    vectors = copies ? scratch.address(0) : x.address(0);
    edges = scratch.address(ofCopy);
    if (copies) {
      copyRows();
    }
  }

  private void copyRows() {
    int i = x.columns();
    VectorMask<Float> counted = first(padded(i) - i);
    for (int row = 0; row < x.rows(); row++) {
      long from = (long) row * i;
      long to = (long) row * padded(i);
      if (i < WIDTH) {
        Native.zero(vectors + ELEMENT * to, WIDTH);
        Native.copy(x.address(from), vectors + ELEMENT * to, i);
      } else {
        Native.copy(x.address(from), vectors + ELEMENT * to, whole(i));
        FloatVector last = load(x.address(from + i - WIDTH));
        store(last.blend(0, counted), vectors + ELEMENT * (to + whole(i)));
      }
    }
  }

  /**
   * Computes some columns of out. The weights are read once for every two rows of x, in tiles that
   * stay in the first-level cache.
   *
   * @param unit index of the call, which determines its scratch memory
   * @param from first column
   * @param to column after the last one
   */
  void columns(int unit, int from, int to) {
    int n = x.rows();
    int i = x.columns();
    int o = w.rows();
    long row = ELEMENT * i;
    long padded = ELEMENT * padded(i);
    long edge = edges + ELEMENT * unit * TILE;
    // Vectors of the last rows of w would reach beyond w if a row is shorter than a vector.
    int end = Math.min(to, o - Math.ceilDiv(Math.max(0, WIDTH - i), i));
    int column = from;
    for (; column + COLUMNS <= end; column += COLUMNS) {
      long ofW = w.address((long) column * i);
      // A tile is stored as whole vectors. The next tiles overwrite the elements beyond it.
      boolean direct = column + WIDTH <= to;
      long step = direct ? ELEMENT * o : VECTOR;
      for (int r = 0; r < n; r += 2) {
        long at = out.address((long) r * o + column);
        long tile = direct ? at : edge;
        if (r + 1 < n) {
          twoByFour(tile, step, vectors + r * padded, ofW, row, padded);
        } else {
          four(tile, vectors + r * padded, ofW, row, padded);
        }
        for (int k = 0; !direct && k < Math.min(2, n - r); k++) {
          Native.copy(edge + k * VECTOR, at + ELEMENT * k * o, COLUMNS);
        }
      }
    }
    for (; column < to; column++) {
      for (int r = 0; r < n; r++) {
        float dot = dot(x.memory(), (long) r * i, w.memory(), (long) column * i, i);
        out.memory().setAtIndex(JAVA_FLOAT, (long) r * o + column, dot);
      }
    }
  }

  /**
   * Stores two vectors whose first lanes are the products.
   *
   * @param step bytes from the first vector to the second
   * @param row bytes of a row of w
   * @param padded bytes of a row of whole vectors of x
   */
  private static void twoByFour(long out, long step, long x, long w, long row, long padded) {
    long last = Math.max(0, row - VECTOR);
    FloatVector a0 = zero();
    FloatVector a1 = zero();
    FloatVector a2 = zero();
    FloatVector a3 = zero();
    FloatVector b0 = zero();
    FloatVector b1 = zero();
    FloatVector b2 = zero();
    FloatVector b3 = zero();
    for (long j = 0; j < padded; j += VECTOR) {
      FloatVector a = load(x + j);
      FloatVector b = load(x + padded + j);
      long at = w + Math.min(j, last);
      FloatVector weight = load(at);
      a0 = a.fma(weight, a0);
      b0 = b.fma(weight, b0);
      weight = load(at + row);
      a1 = a.fma(weight, a1);
      b1 = b.fma(weight, b1);
      weight = load(at + 2 * row);
      a2 = a.fma(weight, a2);
      b2 = b.fma(weight, b2);
      weight = load(at + 3 * row);
      a3 = a.fma(weight, a3);
      b3 = b.fma(weight, b3);
    }
    store(sums(a0, a1, a2, a3), out);
    store(sums(b0, b1, b2, b3), out + step);
  }

  private static void four(long out, long x, long w, long row, long padded) {
    long last = Math.max(0, row - VECTOR);
    FloatVector a0 = zero();
    FloatVector a1 = zero();
    FloatVector a2 = zero();
    FloatVector a3 = zero();
    for (long j = 0; j < padded; j += VECTOR) {
      FloatVector a = load(x + j);
      long at = w + Math.min(j, last);
      a0 = a.fma(load(at), a0);
      a1 = a.fma(load(at + row), a1);
      a2 = a.fma(load(at + 2 * row), a2);
      a3 = a.fma(load(at + 3 * row), a3);
    }
    store(sums(a0, a1, a2, a3), out);
  }

  /** One element, for the last columns. */
  private static float dot(MemorySegment x, long xAt, MemorySegment w, long wAt, int i) {
    FloatVector sum = zero();
    int j = 0;
    for (; j <= i - WIDTH; j += WIDTH) {
      sum = Lanes.load(x, xAt + j).fma(Lanes.load(w, wAt + j), sum);
    }
    if (j < i) {
      VectorMask<Float> mask = rest(j, i);
      sum = Lanes.load(x, xAt + j, mask).fma(Lanes.load(w, wAt + j, mask), sum);
    }
    return sum(sum);
  }
}
