package io.millrace.model.tensor.cpu;

import static io.millrace.model.tensor.cpu.Lanes.C1;
import static io.millrace.model.tensor.cpu.Lanes.C2;
import static io.millrace.model.tensor.cpu.Lanes.C3;
import static io.millrace.model.tensor.cpu.Lanes.C4;
import static io.millrace.model.tensor.cpu.Lanes.C5;
import static io.millrace.model.tensor.cpu.Lanes.C6;
import static io.millrace.model.tensor.cpu.Lanes.F;
import static io.millrace.model.tensor.cpu.Lanes.LN2_HIGH;
import static io.millrace.model.tensor.cpu.Lanes.LN2_LOW;
import static io.millrace.model.tensor.cpu.Lanes.LOG2_E;
import static io.millrace.model.tensor.cpu.Lanes.LOWEST;
import static io.millrace.model.tensor.cpu.Lanes.ONE;
import static io.millrace.model.tensor.cpu.Lanes.ROUND;
import static io.millrace.model.tensor.cpu.Lanes.WIDTH;
import static io.millrace.model.tensor.cpu.Native.ALL;
import static io.millrace.model.tensor.cpu.Native.ORDER;
import static io.millrace.model.tensor.cpu.Native.get;
import static io.millrace.model.tensor.cpu.Native.put;
import static io.millrace.model.tensor.cpu.Tiles.PANEL;

import io.millrace.model.tensor.Queries;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;

/**
 * Causal grouped-query attention over packed sequences, a block of {@link #QUERIES} queries at a
 * time.
 *
 * <p>No matrix of tokens × tokens is ever stored: a block's scores [keys, QUERIES] live in scratch
 * memory that grows with the longest sequence alone, and the backward pass computes them again (Dao
 * et al., arXiv 2205.14135, section 3.1; with whole columns of scores at hand the softmax needs no
 * running maximum, and the backward pass neither its result nor the output). Scores lie with a
 * query a lane, so that nothing is ever summed across lanes, and end with the block's last key.
 *
 * <p>Work is split by sequence and key head, each of which owns its part of every result.
 */
final class Attention {

  private static final int QUERIES = Tiles.COLUMNS;

  private static final long ELEMENT = Float.BYTES;
  private static final long VECTOR = ELEMENT * WIDTH;
  private static final long ROW = ELEMENT * QUERIES;

  private final WorkPool pool;
  private final Workspace workspace;
  private final Queries queries;
  private final int[] positions;
  private final int kvHeads;
  private final int group;
  private final int headDim;
  private final int queryColumns;
  private final int kvColumns;
  private final float scale;

  /** headDim in whole tiles; what lies beyond it is 0. */
  private final int columns;

  Attention(
      WorkPool pool, Workspace workspace, Queries queries, int heads, int kvHeads, int headDim) {
    this.pool = pool;
    this.workspace = workspace;
    this.queries = queries;
    this.positions = queries.positions();
    this.kvHeads = kvHeads;
    this.group = heads / kvHeads;
    this.headDim = headDim;
    this.queryColumns = heads * headDim;
    this.kvColumns = kvHeads * headDim;
    this.scale = (float) (1 / Math.sqrt(headDim));
    this.columns = Math.ceilDiv(headDim, Tiles.COLUMNS) * Tiles.COLUMNS;
  }

  /** A worker's memory for one sequence and key head: addresses of matrices, by their shapes. */
  private final class Scratch {
    /** [⌈length/PANEL⌉, headDim, PANEL] each. */
    final long keyPanels;

    final long valuePanels;

    /** [length, columns] each: what scores are multiplied with, and gradients. */
    final long right;

    final long dkeys;
    final long dvalues;

    /** [length, QUERIES] each. */
    final long scores;

    final long dscores;

    /** [headDim, QUERIES], a query a column. */
    final long transposed;

    /** [QUERIES], of each column's token. */
    final long positions;

    /** [QUERIES, columns] each. */
    final long q;

    final long dout;
    final long result;

    /** [headDim, QUERIES], where a few rows are transposed, and [headDim], one of them. */
    final float[] block;

    Scratch(int worker, int length) {
      // In whole tiles of either kind.
      long rows = Math.ceilDiv(length, 12) * 12L;
      long ofPanels = rows * headDim;
      long ofRows = rows * columns;
      long ofScores = rows * QUERIES;
      long ofBlock = (long) QUERIES * columns;
      CpuTensor memory =
          workspace.of(worker, 2 * ofPanels + 3 * ofRows + 2 * ofScores + 4 * ofBlock + QUERIES);
      keyPanels = memory.address(0);
      valuePanels = keyPanels + ELEMENT * ofPanels;
      right = valuePanels + ELEMENT * ofPanels;
      dkeys = right + ELEMENT * ofRows;
      dvalues = dkeys + ELEMENT * ofRows;
      scores = dvalues + ELEMENT * ofRows;
      dscores = scores + ELEMENT * ofScores;
      transposed = dscores + ELEMENT * ofScores;
      q = transposed + ELEMENT * ofBlock;
      dout = q + ELEMENT * ofBlock;
      result = dout + ELEMENT * ofBlock;
      positions = result + ELEMENT * ofBlock;
      block = workspace.array(worker, headDim * (QUERIES + 1));
    }
  }

  /** One sequence and key head: its first key's row, how many there are, and its queries. */
  private interface Unit {
    void run(Scratch scratch, int start, int length, int kvHead, int from, int to);
  }

  private void units(Unit unit) {
    pool.run(
        queries.sequences().count() * kvHeads,
        (index, worker) -> {
          int sequence = index / kvHeads;
          int start = queries.sequences().start(sequence);
          int length = queries.sequences().length(sequence);
          int from = queries.start(sequence);
          int to = from + queries.count(sequence);
          unit.run(new Scratch(worker, length), start, length, index % kvHeads, from, to);
        });
  }

  /** out = softmax(q·kᵀ/√d)·v. */
  void forward(CpuTensor out, CpuTensor q, CpuTensor k, CpuTensor v) {
    units(
        (scratch, start, length, kvHead, from, to) -> {
          panels(scratch, scratch.keyPanels, k.address(key(start, kvHead)), length);
          copyIn(scratch.right, length, v.address(key(start, kvHead)), kvColumns, length);
          for (int member = 0; member < group; member++) {
            for (int first = from; first < to; first += QUERIES) {
              int rows = Math.min(QUERIES, to - first);
              long at = query(first, kvHead, member);
              int seen = probabilities(scratch, q.address(at), first, rows);
              // out = Pᵀ·v
              Tiles.ofColumns(seen, columns, scratch.scores, scratch.right, scratch.result);
              copyOut(out.address(at), queryColumns, scratch.result, rows, 1);
            }
          }
        });
  }

  /**
   * With P as in the forward pass: dv = Σ P·dout; dP = v·doutᵀ; dS = P∘(dP − Σ P∘dP), sums over
   * keys; dq = dSᵀ·k/√d; dk = Σ dS·q/√d.
   */
  void backward(
      CpuTensor dq,
      CpuTensor dk,
      CpuTensor dv,
      CpuTensor dout,
      CpuTensor q,
      CpuTensor k,
      CpuTensor v) {
    units(
        (scratch, start, length, kvHead, from, to) -> {
          long keys = key(start, kvHead);
          panels(scratch, scratch.keyPanels, k.address(keys), length);
          panels(scratch, scratch.valuePanels, v.address(keys), length);
          copyIn(scratch.right, length, k.address(keys), kvColumns, length);
          Native.zero(scratch.dkeys, (long) length * columns);
          Native.zero(scratch.dvalues, (long) length * columns);
          for (int member = 0; member < group; member++) {
            for (int first = from; first < to; first += QUERIES) {
              int rows = Math.min(QUERIES, to - first);
              long at = query(first, kvHead, member);
              block(scratch, q.address(at), dout.address(at), first, rows);
              copyOut(dq.address(at), queryColumns, scratch.result, rows, scale);
            }
          }
          copyOut(dk.address(keys), kvColumns, scratch.dkeys, length, scale);
          copyOut(dv.address(keys), kvColumns, scratch.dvalues, length, 1);
        });
  }

  /** The backward pass of a block of queries, whose dq·√d is left in scratch.result. */
  private void block(Scratch scratch, long q, long dout, int first, int rows) {
    int seen = probabilities(scratch, q, first, rows);
    copyIn(scratch.q, QUERIES, q, queryColumns, rows);
    copyIn(scratch.dout, QUERIES, dout, queryColumns, rows);
    // dv += P·dout
    Tiles.addOfRows(seen, rows, columns, scratch.scores, scratch.dout, scratch.dvalues);
    // dP = v·doutᵀ
    transposed(scratch, dout, rows, 1);
    Tiles.ofPanels(seen, headDim, scratch.valuePanels, scratch.transposed, scratch.dscores);
    clearTile(scratch.dscores, seen);
    softmaxBackward(scratch.dscores, scratch.scores, seen);
    softmaxBackward(scratch.dscores + VECTOR, scratch.scores + VECTOR, seen);
    // dq·√d = dSᵀ·k
    Tiles.ofColumns(seen, columns, scratch.dscores, scratch.right, scratch.result);
    // dk·√d += dS·q
    Tiles.addOfRows(seen, rows, columns, scratch.dscores, scratch.q, scratch.dkeys);
  }

  /** Where a query head's elements begin. */
  private long query(int query, int kvHead, int member) {
    return (long) query * queryColumns + (long) (kvHead * group + member) * headDim;
  }

  /** Where a key head's elements of a token begin. */
  private long key(int token, int kvHead) {
    return (long) token * kvColumns + (long) kvHead * headDim;
  }

  /**
   * scores [seen, QUERIES] = softmax(k·qᵀ/√d), each column over the tokens up to its own, 0 beyond.
   * Columns that stand for no query hold something finite.
   *
   * @return how many keys the last of the queries sees
   */
  private int probabilities(Scratch scratch, long q, int first, int rows) {
    int seen = positions[first + rows - 1] + 1;
    for (int i = 0; i < QUERIES; i++) {
      put(scratch.positions + ELEMENT * i, positions[first + Math.min(i, rows - 1)]);
    }
    transposed(scratch, q, rows, scale);
    Tiles.ofPanels(seen, headDim, scratch.keyPanels, scratch.transposed, scratch.scores);
    later(scratch, positions[first], seen, Float.NEGATIVE_INFINITY);
    softmax(scratch.scores, seen);
    softmax(scratch.scores + VECTOR, seen);
    later(scratch, positions[first], seen, 0);
    clearTile(scratch.scores, seen);
    return seen;
  }

  /** Zeroes what a last tile of rows reads beyond the keys seen, so that it adds nothing there. */
  private static void clearTile(long scores, int seen) {
    int rows = Math.ceilDiv(seen, Tiles.ROWS) * Tiles.ROWS;
    Native.zero(scores + ROW * seen, (long) (rows - seen) * QUERIES);
  }

  /** Overwrites the scores of keys that come later than a column's token. */
  private static void later(Scratch scratch, int earliest, int seen, float value) {
    FloatVector values = FloatVector.broadcast(F, value);
    for (long lane = 0; lane < ROW; lane += VECTOR) {
      FloatVector positions =
          FloatVector.fromMemorySegment(F, ALL, scratch.positions + lane, ORDER);
      for (int key = earliest + 1; key < seen; key++) {
        long at = scratch.scores + ROW * key + lane;
        FloatVector.fromMemorySegment(F, ALL, at, ORDER)
            .blend(values, positions.compare(VectorOperators.LT, key))
            .intoMemorySegment(ALL, at, ORDER);
      }
    }
  }

  /**
   * The softmax of a vector's worth of columns. {@link Lanes#exp} is written out: the compiler may
   * be past what it inlines when it comes to this.
   */
  private static void softmax(long scores, int seen) {
    long end = scores + ROW * seen;
    FloatVector highest = FloatVector.fromMemorySegment(F, ALL, scores, ORDER);
    for (long at = scores; at < end; at += ROW) {
      highest = highest.max(FloatVector.fromMemorySegment(F, ALL, at, ORDER));
    }
    FloatVector sums = FloatVector.zero(F);
    for (long at = scores; at < end; at += ROW) {
      FloatVector x = FloatVector.fromMemorySegment(F, ALL, at, ORDER).sub(highest).max(LOWEST);
      FloatVector shifted = x.fma(LOG2_E, ROUND);
      FloatVector n = shifted.sub(ROUND);
      FloatVector r = n.fma(LN2_LOW, n.fma(LN2_HIGH, x));
      FloatVector p = C6.fma(r, C5).fma(r, C4).fma(r, C3).fma(r, C2).fma(r, C1);
      p = p.fma(r.mul(r), r).add(ONE);
      IntVector power = shifted.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23);
      FloatVector e = p.reinterpretAsInts().add(power).reinterpretAsFloats();
      e.intoMemorySegment(ALL, at, ORDER);
      sums = sums.add(e);
    }
    FloatVector inverse = ONE.div(sums);
    for (long at = scores; at < end; at += ROW) {
      FloatVector.fromMemorySegment(F, ALL, at, ORDER)
          .mul(inverse)
          .intoMemorySegment(ALL, at, ORDER);
    }
  }

  /** dP of a vector's worth of columns becomes P∘(dP − Σ P∘dP). */
  private static void softmaxBackward(long dscores, long scores, int seen) {
    long length = ROW * seen;
    FloatVector products = FloatVector.zero(F);
    for (long at = 0; at < length; at += ROW) {
      FloatVector p = FloatVector.fromMemorySegment(F, ALL, scores + at, ORDER);
      products = FloatVector.fromMemorySegment(F, ALL, dscores + at, ORDER).fma(p, products);
    }
    for (long at = 0; at < length; at += ROW) {
      FloatVector p = FloatVector.fromMemorySegment(F, ALL, scores + at, ORDER);
      FloatVector.fromMemorySegment(F, ALL, dscores + at, ORDER)
          .sub(products)
          .mul(p)
          .intoMemorySegment(ALL, dscores + at, ORDER);
    }
  }

  /** The rows of a key head, six by six, each six transposed. */
  private void panels(Scratch scratch, long panels, long from, int length) {
    float[] block = scratch.block;
    for (int first = 0; first < length; first += PANEL) {
      int rows = Math.min(PANEL, length - first);
      transpose(scratch, from + ELEMENT * first * kvColumns, kvColumns, rows, PANEL, 1);
      Native.copy(block, headDim * PANEL, panels + ELEMENT * first * headDim);
    }
  }

  /** transposed [headDim, QUERIES] = α · rows of a query head, each a column; 0 beyond. */
  private void transposed(Scratch scratch, long from, int rows, float alpha) {
    transpose(scratch, from, queryColumns, rows, QUERIES, alpha);
    Native.copy(scratch.block, headDim * QUERIES, scratch.transposed);
  }

  /** scratch.block [headDim, width] = α · rows of a head, each a column; 0 beyond. */
  private void transpose(Scratch scratch, long from, int stride, int rows, int width, float alpha) {
    float[] block = scratch.block;
    int line = headDim * QUERIES;
    for (int row = 0; row < rows; row++) {
      Native.copy(from + ELEMENT * row * stride, block, line, headDim);
      for (int j = 0; j < headDim; j++) {
        block[j * width + row] = block[line + j] * alpha;
      }
    }
    for (int row = rows; row < width; row++) {
      for (int j = 0; j < headDim; j++) {
        block[j * width + row] = 0;
      }
    }
  }

  /** to [count, columns] = the first rows of a head, and 0 beyond. */
  private void copyIn(long to, int count, long from, int stride, int rows) {
    if (rows < count || headDim < columns) {
      Native.zero(to, (long) count * columns);
    }
    for (int row = 0; row < rows; row++) {
      Native.copy(from + ELEMENT * row * stride, to + ELEMENT * row * columns, headDim);
    }
  }

  /** Rows of a head = α · those of a matrix [rows, columns]. */
  private void copyOut(long to, int stride, long from, int rows, float alpha) {
    for (int row = 0; row < rows; row++) {
      long target = to + ELEMENT * row * stride;
      long source = from + ELEMENT * row * columns;
      int j = 0;
      for (; j <= headDim - WIDTH; j += WIDTH) {
        FloatVector.fromMemorySegment(F, ALL, source + ELEMENT * j, ORDER)
            .mul(alpha)
            .intoMemorySegment(ALL, target + ELEMENT * j, ORDER);
      }
      for (; j < headDim; j++) {
        put(target + ELEMENT * j, get(source + ELEMENT * j) * alpha);
      }
    }
  }
}
