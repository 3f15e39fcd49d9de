package io.millrace.model.cpu;

import static io.millrace.model.cpu.tiles.Lanes.WIDTH;
import static io.millrace.model.cpu.tiles.Lanes.load;
import static io.millrace.model.cpu.tiles.Lanes.rest;
import static io.millrace.model.cpu.tiles.Lanes.store;

import io.millrace.model.cpu.tiles.Lanes;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;

/**
 * Kernels that work element by element. The elements are split into spans of a fixed length,
 * whatever the number of threads, so the bits of a result never change.
 */
final class Elements {

  /** Elements of a span: 64 KiB, so a few spans fit the second-level cache of a core together. */
  private static final int SPAN = 16 * 1024;

  private final WorkPool pool;

  Elements(WorkPool pool) {
    this.pool = pool;
  }

  private interface Span {
    void run(long from, long to);
  }

  private void spans(long size, Span span) {
    pool.run(
        count(size),
        (unit, worker) -> {
          long from = (long) unit * SPAN;
          span.run(from, Math.min(size, from + SPAN));
        });
  }

  private static int count(long size) {
    return Math.toIntExact(Math.ceilDiv(size, SPAN));
  }

  void zero(MemorySegment x, long size) {
    spans(size, (from, to) -> x.asSlice(4 * from, 4 * (to - from)).fill((byte) 0));
  }

  void copy(MemorySegment target, MemorySegment source, long size) {
    spans(
        size,
        (from, to) -> MemorySegment.copy(source, 4 * from, target, 4 * from, 4 * (to - from)));
  }

  /** {@code target += x}. */
  void add(MemorySegment target, MemorySegment x, long size) {
    spans(
        size,
        (from, to) -> {
          long i = from;
          for (; i <= to - WIDTH; i += WIDTH) {
            store(load(target, i).add(load(x, i)), target, i);
          }
          if (i < to) {
            VectorMask<Float> mask = rest(i, to);
            store(load(target, i, mask).add(load(x, i, mask)), target, i, mask);
          }
        });
  }

  /** {@code x = factor · x}. */
  void scale(MemorySegment x, float factor, long size) {
    spans(
        size,
        (from, to) -> {
          long i = from;
          for (; i <= to - WIDTH; i += WIDTH) {
            store(load(x, i).mul(factor), x, i);
          }
          if (i < to) {
            VectorMask<Float> mask = rest(i, to);
            store(load(x, i, mask).mul(factor), x, i, mask);
          }
        });
  }

  /**
   * {@code target[rows[i]] += x[i]}. A row may occur more than once, so the threads split the
   * columns.
   */
  void addRows(MemorySegment target, int[] rows, MemorySegment x, int columns) {
    RowBlocks blocks = RowBlocks.of(Math.ceilDiv(columns, WIDTH), (long) rows.length * WIDTH, pool);
    pool.run(
        blocks.count(),
        (unit, worker) -> {
          int end = Math.min(columns, blocks.end(unit) * WIDTH);
          for (int i = 0; i < rows.length; i++) {
            long to = (long) rows[i] * columns;
            long from = (long) i * columns;
            int j = blocks.start(unit) * WIDTH;
            for (; j <= end - WIDTH; j += WIDTH) {
              store(load(target, to + j).add(load(x, from + j)), target, to + j);
            }
            if (j < end) {
              VectorMask<Float> mask = rest(j, end);
              store(load(target, to + j, mask).add(load(x, from + j, mask)), target, to + j, mask);
            }
          }
        });
  }

  /** √Σx², accumulated in float64. */
  double norm(MemorySegment x, long size) {
    double[] sums = new double[count(size)];
    pool.run(
        sums.length,
        (unit, worker) -> {
          long from = (long) unit * SPAN;
          sums[unit] = squares(x, from, Math.min(size, from + SPAN));
        });
    return Math.sqrt(Arrays.stream(sums).sum());
  }

  private static double squares(MemorySegment x, long from, long to) {
    DoubleVector low = DoubleVector.zero(DoubleVector.SPECIES_PREFERRED);
    DoubleVector high = low;
    long i = from;
    for (; i <= to - WIDTH; i += WIDTH) {
      FloatVector value = load(x, i);
      DoubleVector first = (DoubleVector) value.convert(VectorOperators.F2D, 0);
      DoubleVector second = (DoubleVector) value.convert(VectorOperators.F2D, 1);
      low = first.fma(first, low);
      high = second.fma(second, high);
    }
    if (i < to) {
      FloatVector value = load(x, i, rest(i, to));
      DoubleVector first = (DoubleVector) value.convert(VectorOperators.F2D, 0);
      DoubleVector second = (DoubleVector) value.convert(VectorOperators.F2D, 1);
      low = first.fma(first, low);
      high = second.fma(second, high);
    }
    return Lanes.sum(low.add(high));
  }

  /** {@code out = gate ∘ σ(gate) ∘ up}. */
  void swiGlu(CpuTensor out, CpuTensor gate, CpuTensor up) {
    long to = out.address(0);
    long g = gate.address(0);
    long u = up.address(0);
    spans(out.size(), (from, until) -> SwiGlu.forward(to, g, u, from, until));
  }

  /** Backward pass of {@link #swiGlu}. dgate may be gate, and dup may be up. */
  void swiGluBackward(
      CpuTensor dgate, CpuTensor dup, CpuTensor dout, CpuTensor gate, CpuTensor up) {
    long dg = dgate.address(0);
    long du = dup.address(0);
    long d = dout.address(0);
    long g = gate.address(0);
    long u = up.address(0);
    spans(dout.size(), (from, to) -> SwiGlu.backward(dg, du, d, g, u, from, to));
  }

  /**
   * Constants of an AdamW step.
   *
   * @param gradientScale factor for the gradients
   * @param beta1 β₁
   * @param rest1 1 − β₁, computed in float64: in float32 the difference for β₁ = 0.999 would keep
   *     only four digits
   * @param beta2 β₂
   * @param rest2 1 − β₂
   * @param epsilon ε
   * @param keep 1 − lr·λ
   * @param rate lr / (1 − β₁^step)
   * @param secondCorrection 1 / √(1 − β₂^step)
   */
  record AdamWStep(
      float gradientScale,
      float beta1,
      float rest1,
      float beta2,
      float rest2,
      float epsilon,
      float keep,
      float rate,
      float secondCorrection) {}

  /**
   * One AdamW step, see {@link CpuBackend#adamW}. Moments and parameters are updated in one pass.
   */
  void adamW(
      MemorySegment theta,
      MemorySegment gradient,
      MemorySegment first,
      MemorySegment second,
      long size,
      AdamWStep step) {
    spans(
        size,
        (from, to) -> {
          long i = from;
          for (; i <= to - WIDTH; i += WIDTH) {
            FloatVector g = load(gradient, i).mul(step.gradientScale);
            FloatVector m = load(first, i).mul(step.beta1).add(g.mul(step.rest1));
            FloatVector v = load(second, i).mul(step.beta2).add(g.mul(g).mul(step.rest2));
            store(m, first, i);
            store(v, second, i);
            store(moved(load(theta, i), m, v, step), theta, i);
          }
          if (i < to) {
            VectorMask<Float> mask = rest(i, to);
            FloatVector g = load(gradient, i, mask).mul(step.gradientScale);
            FloatVector m = load(first, i, mask).mul(step.beta1).add(g.mul(step.rest1));
            FloatVector v = load(second, i, mask).mul(step.beta2).add(g.mul(g).mul(step.rest2));
            store(m, first, i, mask);
            store(v, second, i, mask);
            store(moved(load(theta, i, mask), m, v, step), theta, i, mask);
          }
        });
  }

  /** θ·(1 − lr·λ) − lr·m̂ / (√v̂ + ε). */
  private static FloatVector moved(
      FloatVector theta, FloatVector m, FloatVector v, AdamWStep step) {
    FloatVector deviation =
        v.lanewise(VectorOperators.SQRT).mul(step.secondCorrection).add(step.epsilon);
    return theta.mul(step.keep).sub(m.mul(step.rate).div(deviation));
  }
}
