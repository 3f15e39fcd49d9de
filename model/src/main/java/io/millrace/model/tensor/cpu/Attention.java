package io.millrace.model.tensor.cpu;

import static io.millrace.model.tensor.cpu.Lanes.WIDTH;
import static io.millrace.model.tensor.cpu.Lanes.all;
import static io.millrace.model.tensor.cpu.Lanes.exp;
import static io.millrace.model.tensor.cpu.Lanes.first;
import static io.millrace.model.tensor.cpu.Lanes.load;
import static io.millrace.model.tensor.cpu.Lanes.padded;
import static io.millrace.model.tensor.cpu.Lanes.store;
import static io.millrace.model.tensor.cpu.Lanes.sum;
import static io.millrace.model.tensor.cpu.Lanes.whole;
import static io.millrace.model.tensor.cpu.Lanes.zero;

import io.millrace.model.tensor.Sequences;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/**
 * Causal grouped-query attention over packed sequences, in blocks of {@value #BLOCK} queries.
 *
 * <p>No matrix of tokens × tokens is ever stored: a block's scores [BLOCK, keys] live in scratch
 * memory that grows with the longest sequence alone, and the backward pass computes them again (Dao
 * et al., arXiv 2205.14135, section 3.1; with whole rows of scores at hand the softmax needs no
 * running maximum, and the backward pass neither its result nor the output). Products are sgemms,
 * the softmax is fused between them.
 *
 * <p>Work is split by sequence and key head, each of which owns its part of every result.
 */
final class Attention {

  private static final int BLOCK = 64;

  private final WorkPool pool;
  private final Workspace workspace;
  private final Sequences sequences;
  private final int kvHeads;
  private final int group;
  private final int headDim;
  private final int queryColumns;
  private final int kvColumns;
  private final float scale;

  Attention(
      WorkPool pool,
      Workspace workspace,
      Sequences sequences,
      int heads,
      int kvHeads,
      int headDim) {
    this.pool = pool;
    this.workspace = workspace;
    this.sequences = sequences;
    this.kvHeads = kvHeads;
    this.group = heads / kvHeads;
    this.headDim = headDim;
    this.queryColumns = heads * headDim;
    this.kvColumns = kvHeads * headDim;
    this.scale = (float) (1 / Math.sqrt(headDim));
  }

  /** out = softmax(q·kᵀ/√d)·v. */
  void forward(CpuTensor out, CpuTensor q, CpuTensor k, CpuTensor v) {
    pool.run(
        sequences.count() * kvHeads,
        (unit, worker) -> {
          int start = sequences.start(unit / kvHeads);
          int length = sequences.length(unit / kvHeads);
          long keys = (long) start * kvColumns + (long) (unit % kvHeads) * headDim;
          CpuTensor p = workspace.of(worker, (long) BLOCK * padded(length));
          for (int member = 0; member < group; member++) {
            for (int first = 0; first < length; first += BLOCK) {
              int rows = Math.min(BLOCK, length - first);
              int seen = first + rows;
              int stride = padded(seen);
              long queries = queries(start + first, unit % kvHeads, member);
              probabilities(p, q.address(queries), k.address(keys), rows, seen);
              Blas.times(
                  rows,
                  headDim,
                  seen,
                  1,
                  p.address(0),
                  stride,
                  v.address(keys),
                  kvColumns,
                  0,
                  out.address(queries),
                  queryColumns);
            }
          }
        });
  }

  /**
   * With P as in the forward pass: dv += Pᵀ·dout; dP = dout·vᵀ; dS = P∘(dP − rowsum(P∘dP))/√d; dq
   * += dS·k; dk += dSᵀ·q.
   */
  void backward(
      CpuTensor dq,
      CpuTensor dk,
      CpuTensor dv,
      CpuTensor dout,
      CpuTensor q,
      CpuTensor k,
      CpuTensor v) {
    pool.run(
        sequences.count() * kvHeads,
        (unit, worker) -> {
          int start = sequences.start(unit / kvHeads);
          int length = sequences.length(unit / kvHeads);
          long keys = (long) start * kvColumns + (long) (unit % kvHeads) * headDim;
          CpuTensor p = workspace.of(worker, 2L * BLOCK * padded(length));
          for (int member = 0; member < group; member++) {
            for (int first = 0; first < length; first += BLOCK) {
              int rows = Math.min(BLOCK, length - first);
              int seen = first + rows;
              int stride = padded(seen);
              long ds = (long) rows * stride;
              long queries = queries(start + first, unit % kvHeads, member);
              probabilities(p, q.address(queries), k.address(keys), rows, seen);
              // dv += Pᵀ·dout
              Blas.transposedTimes(
                  seen,
                  headDim,
                  rows,
                  1,
                  p.address(0),
                  stride,
                  dout.address(queries),
                  queryColumns,
                  1,
                  dv.address(keys),
                  kvColumns);
              // dP = dout·vᵀ
              Blas.timesTransposed(
                  rows,
                  seen,
                  headDim,
                  1,
                  dout.address(queries),
                  queryColumns,
                  v.address(keys),
                  kvColumns,
                  0,
                  p.address(ds),
                  stride);
              for (int row = 0; row < rows; row++) {
                long at = (long) row * stride;
                softmaxBackward(p.memory(), ds + at, at, first + row + 1, stride);
              }
              // dq += dS·k
              Blas.times(
                  rows,
                  headDim,
                  seen,
                  scale,
                  p.address(ds),
                  stride,
                  k.address(keys),
                  kvColumns,
                  1,
                  dq.address(queries),
                  queryColumns);
              // dk += dSᵀ·q
              Blas.transposedTimes(
                  seen,
                  headDim,
                  rows,
                  scale,
                  p.address(ds),
                  stride,
                  q.address(queries),
                  queryColumns,
                  1,
                  dk.address(keys),
                  kvColumns);
            }
          }
        });
  }

  /** Where a query head's elements of a token begin. */
  private long queries(int token, int kvHead, int member) {
    return (long) token * queryColumns + (long) (kvHead * group + member) * headDim;
  }

  /** p [rows, seen] = softmax(q·kᵀ/√d), each row over the tokens up to its own, 0 beyond. */
  private void probabilities(CpuTensor p, long q, long k, int rows, int seen) {
    int stride = padded(seen);
    Blas.timesTransposed(
        rows, seen, headDim, scale, q, queryColumns, k, kvColumns, 0, p.address(0), stride);
    for (int row = 0; row < rows; row++) {
      softmax(p.memory(), (long) row * stride, seen - rows + row + 1, stride);
    }
  }

  /**
   * The softmax of a row's first elements; the rest becomes 0, whatever it held.
   *
   * @param stride of the row, a multiple of the vector width
   */
  static void softmax(MemorySegment x, long at, int valid, int stride) {
    int end = padded(valid);
    int last = valid - whole(valid);
    if (last > 0) {
      FloatVector lowest = all(Float.NEGATIVE_INFINITY);
      store(lowest.blend(load(x, at + end - WIDTH), first(last)), x, at + end - WIDTH);
    }
    float sum = exponentials(x, at, end, highest(x, at, end));
    FloatVector inverse = all(1 / sum);
    for (int j = 0; j < end; j += WIDTH) {
      store(load(x, at + j).mul(inverse), x, at + j);
    }
    if (last > 0) {
      store(zero().blend(load(x, at + end - WIDTH), first(last)), x, at + end - WIDTH);
    }
    clear(x, at + end, at + stride);
  }

  private static float highest(MemorySegment x, long at, int end) {
    FloatVector highest = load(x, at);
    for (int j = WIDTH; j < end; j += WIDTH) {
      highest = highest.max(load(x, at + j));
    }
    return highest.reduceLanes(VectorOperators.MAX);
  }

  /** x becomes e^(x − max); returns the sum. */
  private static float exponentials(MemorySegment x, long at, int end, float max) {
    FloatVector highest = all(max);
    FloatVector sums = zero();
    for (int j = 0; j < end; j += WIDTH) {
      FloatVector e = exp(load(x, at + j).sub(highest));
      store(e, x, at + j);
      sums = sums.add(e);
    }
    return sum(sums);
  }

  private static void clear(MemorySegment x, long from, long to) {
    for (long j = from; j < to; j += WIDTH) {
      store(zero(), x, j);
    }
  }

  /** dP of a row becomes P∘(dP − Σ P∘dP), and 0 beyond what the row's token sees. */
  private static void softmaxBackward(MemorySegment x, long dp, long p, int valid, int stride) {
    int end = padded(valid);
    int last = valid - whole(valid);
    if (last > 0) {
      // What lies there was never written, and may be anything.
      store(zero().blend(load(x, dp + end - WIDTH), first(last)), x, dp + end - WIDTH);
    }
    FloatVector products = zero();
    for (int j = 0; j < end; j += WIDTH) {
      products = load(x, dp + j).fma(load(x, p + j), products);
    }
    FloatVector sum = all(sum(products));
    for (int j = 0; j < end; j += WIDTH) {
      store(load(x, dp + j).sub(sum).mul(load(x, p + j)), x, dp + j);
    }
    clear(x, dp + end, dp + stride);
  }
}
