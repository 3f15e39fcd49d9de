package io.millrace.model.cpu;

import static io.millrace.model.cpu.tiles.Lanes.WIDTH;
import static io.millrace.model.cpu.tiles.Lanes.all;
import static io.millrace.model.cpu.tiles.Lanes.load;
import static io.millrace.model.cpu.tiles.Lanes.rest;
import static io.millrace.model.cpu.tiles.Lanes.store;
import static io.millrace.model.cpu.tiles.Lanes.sum;
import static io.millrace.model.cpu.tiles.Lanes.zero;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/** RMSNorm over rows of h elements. Rows are independent. */
final class RmsNorm {

  private final WorkPool pool;
  private final Workspace workspace;

  RmsNorm(WorkPool pool, Workspace workspace) {
    this.pool = pool;
    this.workspace = workspace;
  }

  /** {@code out = x · r ∘ w}, with r = 1 / √(mean(x²) + ε). */
  void forward(
      MemorySegment out, MemorySegment x, MemorySegment w, int rows, int h, float epsilon) {
    RowBlocks blocks = RowBlocks.of(rows, h, pool);
    pool.run(
        blocks.count(),
        (unit, worker) -> {
          for (int row = blocks.start(unit); row < blocks.end(unit); row++) {
            long at = (long) row * h;
            rowForward(out, x, w, at, h, inverseRms(x, at, h, epsilon));
          }
        });
  }

  /**
   * {@code x += change}, then out as in {@link #forward}, while the row is in the first-level
   * cache.
   */
  void addForward(
      MemorySegment out,
      MemorySegment x,
      MemorySegment change,
      MemorySegment w,
      int rows,
      int h,
      float epsilon) {
    RowBlocks blocks = RowBlocks.of(rows, h, pool);
    pool.run(
        blocks.count(),
        (unit, worker) -> {
          for (int row = blocks.start(unit); row < blocks.end(unit); row++) {
            long at = (long) row * h;
            addRow(x, at, change, at, h);
            rowForward(out, x, w, at, h, inverseRms(x, at, h, epsilon));
          }
        });
  }

  private static void rowForward(
      MemorySegment out, MemorySegment x, MemorySegment w, long at, int h, float r) {
    int j = 0;
    for (; j <= h - WIDTH; j += WIDTH) {
      store(load(x, at + j).mul(r).mul(load(w, j)), out, at + j);
    }
    if (j < h) {
      VectorMask<Float> mask = rest(j, h);
      store(load(x, at + j, mask).mul(r).mul(load(w, j, mask)), out, at + j, mask);
    }
  }

  private static float inverseRms(MemorySegment x, long at, int h, float epsilon) {
    FloatVector even = zero();
    FloatVector odd = zero();
    int j = 0;
    for (; j <= h - 2 * WIDTH; j += 2 * WIDTH) {
      FloatVector a = load(x, at + j);
      FloatVector b = load(x, at + j + WIDTH);
      even = a.fma(a, even);
      odd = b.fma(b, odd);
    }
    if (j <= h - WIDTH) {
      FloatVector a = load(x, at + j);
      even = a.fma(a, even);
      j += WIDTH;
    }
    if (j < h) {
      FloatVector a = load(x, at + j, rest(j, h));
      odd = a.fma(a, odd);
    }
    double squares = sum(even.add(odd));
    return (float) (1 / Math.sqrt(squares / h + epsilon));
  }

  /**
   * Backward pass, with x̂ = x · r and g = dout ∘ w:
   *
   * <pre>
   *   dx += r · (g − x̂ · mean(g ∘ x̂))
   *   dw += Σ_rows dout ∘ x̂
   * </pre>
   *
   * <p>Each block of rows has its own sum for dw; the sums of the blocks are then added in order.
   *
   * @param dw null if w is frozen
   */
  void backward(
      MemorySegment dx,
      MemorySegment dw,
      MemorySegment dout,
      MemorySegment x,
      MemorySegment w,
      int rows,
      int h,
      float epsilon) {
    RowBlocks blocks = RowBlocks.of(rows, h, pool);
    MemorySegment sums = workspace.of(pool.slot(), (long) blocks.count() * h).memory();
    pool.run(
        blocks.count(),
        (unit, worker) -> {
          long sum = (long) unit * h;
          sums.asSlice(4 * sum, 4L * h).fill((byte) 0);
          for (int row = blocks.start(unit); row < blocks.end(unit); row++) {
            rowBackward(dx, sums, sum, dout, x, w, (long) row * h, h, epsilon);
          }
        });
    for (int block = 0; dw != null && block < blocks.count(); block++) {
      addRow(dw, 0, sums, (long) block * h, h);
    }
  }

  private static void rowBackward(
      MemorySegment dx,
      MemorySegment dw,
      long dwAt,
      MemorySegment dout,
      MemorySegment x,
      MemorySegment w,
      long at,
      int h,
      float epsilon) {
    float r = inverseRms(x, at, h, epsilon);
    float products = weightBackward(dw, dwAt, dout, x, w, at, h, r);
    // r · (g − x̂ · mean) = r · g − x · r² · mean
    inputBackward(dx, dout, x, w, at, h, r, -r * r * (products / h));
  }

  /** {@code dw += dout ∘ x̂}; returns Σ g ∘ x̂. */
  private static float weightBackward(
      MemorySegment dw,
      long dwAt,
      MemorySegment dout,
      MemorySegment x,
      MemorySegment w,
      long at,
      int h,
      float r) {
    FloatVector scale = all(r);
    FloatVector products = zero();
    int j = 0;
    for (; j <= h - WIDTH; j += WIDTH) {
      FloatVector both = load(dout, at + j).mul(load(x, at + j).mul(scale));
      products = both.fma(load(w, j), products);
      store(load(dw, dwAt + j).add(both), dw, dwAt + j);
    }
    if (j < h) {
      VectorMask<Float> mask = rest(j, h);
      FloatVector both = load(dout, at + j, mask).mul(load(x, at + j, mask).mul(scale));
      products = both.fma(load(w, j, mask), products);
      store(load(dw, dwAt + j, mask).add(both), dw, dwAt + j, mask);
    }
    return sum(products);
  }

  /** {@code dx += r · dout ∘ w + pull · x}. */
  private static void inputBackward(
      MemorySegment dx,
      MemorySegment dout,
      MemorySegment x,
      MemorySegment w,
      long at,
      int h,
      float r,
      float pull) {
    FloatVector scale = all(r);
    FloatVector pulling = all(pull);
    int j = 0;
    for (; j <= h - WIDTH; j += WIDTH) {
      FloatVector kept = load(x, at + j).fma(pulling, load(dx, at + j));
      store(load(dout, at + j).mul(load(w, j)).fma(scale, kept), dx, at + j);
    }
    if (j < h) {
      VectorMask<Float> mask = rest(j, h);
      FloatVector kept = load(x, at + j, mask).fma(pulling, load(dx, at + j, mask));
      store(load(dout, at + j, mask).mul(load(w, j, mask)).fma(scale, kept), dx, at + j, mask);
    }
  }

  private static void addRow(
      MemorySegment target, long targetAt, MemorySegment x, long xAt, int h) {
    int j = 0;
    for (; j <= h - WIDTH; j += WIDTH) {
      store(load(target, targetAt + j).add(load(x, xAt + j)), target, targetAt + j);
    }
    if (j < h) {
      VectorMask<Float> mask = rest(j, h);
      FloatVector sum = load(target, targetAt + j, mask).add(load(x, xAt + j, mask));
      store(sum, target, targetAt + j, mask);
    }
  }
}
