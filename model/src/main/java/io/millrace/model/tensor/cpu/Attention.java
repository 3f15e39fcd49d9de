package io.millrace.model.tensor.cpu;

import static io.millrace.model.tensor.cpu.Lanes.WIDTH;
import static io.millrace.model.tensor.cpu.Lanes.all;
import static io.millrace.model.tensor.cpu.Lanes.exp;
import static io.millrace.model.tensor.cpu.Lanes.load;
import static io.millrace.model.tensor.cpu.Lanes.rest;
import static io.millrace.model.tensor.cpu.Lanes.store;
import static io.millrace.model.tensor.cpu.Lanes.sum;
import static io.millrace.model.tensor.cpu.Lanes.zero;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import io.millrace.model.tensor.Sequences;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
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
          CpuTensor p = workspace.of(worker, (long) BLOCK * length);
          for (int member = 0; member < group; member++) {
            for (int first = 0; first < length; first += BLOCK) {
              int rows = Math.min(BLOCK, length - first);
              int seen = first + rows;
              long queries = queries(start + first, unit % kvHeads, member);
              probabilities(p, q.address(queries), k.address(keys), rows, seen);
              Blas.times(
                  rows,
                  headDim,
                  seen,
                  1,
                  p.address(0),
                  seen,
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
          CpuTensor p = workspace.of(worker, 2L * BLOCK * length);
          for (int member = 0; member < group; member++) {
            for (int first = 0; first < length; first += BLOCK) {
              int rows = Math.min(BLOCK, length - first);
              int seen = first + rows;
              long ds = (long) rows * seen;
              long queries = queries(start + first, unit % kvHeads, member);
              probabilities(p, q.address(queries), k.address(keys), rows, seen);
              // dv += Pᵀ·dout
              Blas.transposedTimes(
                  seen,
                  headDim,
                  rows,
                  1,
                  p.address(0),
                  seen,
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
                  seen);
              for (int row = 0; row < rows; row++) {
                softmaxBackward(p.memory(), ds + (long) row * seen, (long) row * seen, seen);
              }
              // dq += dS·k
              Blas.times(
                  rows,
                  headDim,
                  seen,
                  scale,
                  p.address(ds),
                  seen,
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
                  seen,
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
    Blas.timesTransposed(
        rows, seen, headDim, scale, q, queryColumns, k, kvColumns, 0, p.address(0), seen);
    for (int row = 0; row < rows; row++) {
      softmax(p.memory(), (long) row * seen, seen - rows + row + 1, seen);
    }
  }

  /** The softmax of a row's first elements; the rest becomes 0. */
  static void softmax(MemorySegment x, long at, int valid, int width) {
    FloatVector highest = all(Float.NEGATIVE_INFINITY);
    int j = 0;
    for (; j <= valid - WIDTH; j += WIDTH) {
      highest = highest.max(load(x, at + j));
    }
    float max = highest.reduceLanes(VectorOperators.MAX);
    for (; j < valid; j++) {
      max = Math.max(max, x.getAtIndex(JAVA_FLOAT, at + j));
    }
    FloatVector sums = zero();
    for (j = 0; j <= valid - WIDTH; j += WIDTH) {
      FloatVector e = exp(load(x, at + j).sub(max));
      store(e, x, at + j);
      sums = sums.add(e);
    }
    if (j < valid) {
      VectorMask<Float> mask = rest(j, valid);
      FloatVector e = zero().blend(exp(load(x, at + j, mask).sub(max)), mask);
      store(e, x, at + j, mask);
      sums = sums.add(e);
    }
    float inverse = 1 / sum(sums);
    for (j = 0; j <= valid - WIDTH; j += WIDTH) {
      store(load(x, at + j).mul(inverse), x, at + j);
    }
    for (; j < valid; j++) {
      x.setAtIndex(JAVA_FLOAT, at + j, x.getAtIndex(JAVA_FLOAT, at + j) * inverse);
    }
    if (valid < width) {
      x.asSlice(4 * (at + valid), 4L * (width - valid)).fill((byte) 0);
    }
  }

  /** dP of a row becomes P∘(dP − Σ P∘dP); what is beyond the row's own token has P = 0. */
  private static void softmaxBackward(MemorySegment x, long dp, long p, int width) {
    FloatVector products = zero();
    for (int j = 0; j < width; j += WIDTH) {
      products =
          j <= width - WIDTH
              ? load(x, dp + j).fma(load(x, p + j), products)
              : load(x, dp + j, rest(j, width)).fma(load(x, p + j, rest(j, width)), products);
    }
    float sum = sum(products);
    int j = 0;
    for (; j <= width - WIDTH; j += WIDTH) {
      store(load(x, dp + j).sub(sum).mul(load(x, p + j)), x, dp + j);
    }
    if (j < width) {
      VectorMask<Float> mask = rest(j, width);
      store(load(x, dp + j, mask).sub(sum).mul(load(x, p + j, mask)), x, dp + j, mask);
    }
  }
}
