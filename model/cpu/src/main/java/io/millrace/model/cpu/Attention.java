package io.millrace.model.cpu;

import static io.millrace.model.cpu.tiles.Lanes.C1;
import static io.millrace.model.cpu.tiles.Lanes.C2;
import static io.millrace.model.cpu.tiles.Lanes.C3;
import static io.millrace.model.cpu.tiles.Lanes.C4;
import static io.millrace.model.cpu.tiles.Lanes.C5;
import static io.millrace.model.cpu.tiles.Lanes.C6;
import static io.millrace.model.cpu.tiles.Lanes.F;
import static io.millrace.model.cpu.tiles.Lanes.LN2_HIGH;
import static io.millrace.model.cpu.tiles.Lanes.LN2_LOW;
import static io.millrace.model.cpu.tiles.Lanes.LOG2_E;
import static io.millrace.model.cpu.tiles.Lanes.LOWEST;
import static io.millrace.model.cpu.tiles.Lanes.ONE;
import static io.millrace.model.cpu.tiles.Lanes.ROUND;
import static io.millrace.model.cpu.tiles.Lanes.WIDTH;
import static io.millrace.model.cpu.tiles.Matrix.ELEMENT;
import static io.millrace.model.cpu.tiles.Native.ALL;
import static io.millrace.model.cpu.tiles.Native.ORDER;
import static io.millrace.model.cpu.tiles.Native.put;

import io.millrace.model.cpu.tiles.Matrix;
import io.millrace.model.cpu.tiles.Native;
import io.millrace.model.cpu.tiles.Tiles;
import io.millrace.model.tensor.Queries;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;

/**
 * Causal grouped-query attention over packed sequences. A block of queries is computed at a time,
 * as many as a tile has columns.
 *
 * <p>The scores of a whole sequence, {@code [tokens, tokens]}, never exist. The scores of a block,
 * {@code [keys, queries]}, are in scratch memory, which grows only with the longest sequence. The
 * backward pass computes them again (Dao et al., arXiv 2205.14135, section 3.1). Unlike there, a
 * block holds the scores of all keys. The softmax therefore needs no running maximum, and the
 * backward pass needs neither the output nor saved statistics. Each vector lane holds one query, so
 * no sum goes across lanes. The keys of a block end with the last key that it attends to.
 *
 * <p>The work is split by sequence and key head, which share no part of a result. Products read and
 * write heads in place, between the other heads. Heads whose width is not a whole number of vectors
 * are copied to padded rows first.
 */
final class Attention {

  private static final long VECTOR = ELEMENT * WIDTH;

  private final WorkPool pool;
  private final Workspace workspace;
  private final Tiles tiles;
  private final Queries queries;
  private final int[] positions;
  private final int kvHeads;
  private final int group;
  private final int headDim;
  private final float scale;

  /** Queries of a block. */
  private final int block;

  /** Size of a row of scores, in bytes. */
  private final long row;

  /** headDim, rounded up to whole vectors. */
  private final int columns;

  Attention(
      WorkPool pool,
      Workspace workspace,
      Tiles tiles,
      Queries queries,
      int heads,
      int kvHeads,
      int headDim) {
    this.pool = pool;
    this.workspace = workspace;
    this.tiles = tiles;
    this.queries = queries;
    this.positions = queries.positions();
    this.kvHeads = kvHeads;
    this.group = heads / kvHeads;
    this.headDim = headDim;
    this.scale = (float) (1 / Math.sqrt(headDim));
    this.block = tiles.columns();
    this.row = ELEMENT * block;
    this.columns = Math.ceilDiv(headDim, WIDTH) * WIDTH;
  }

  /**
   * The scratch memory of a worker for one sequence and key head: addresses of matrices, with their
   * shapes.
   */
  private final class Scratch {
    /** Scores, and the derivatives by them, {@code [length, block]} each. */
    final long scores;

    final long dscores;

    /** The queries, one in each column, {@code [headDim, block]}. */
    final long transposed;

    /** Position of the token of each column, {@code [block]}. */
    final long positions;

    /** Sums of the gradients of keys and values, {@code [length, columns]} each. */
    final Matrix dkeys;

    final Matrix dvalues;

    /** Padded copies of keys and values, {@code [length, columns]} each, if heads are copied. */
    private final long keyRows;

    private final long valueRows;

    /**
     * Padded copies of queries, gradients and results, {@code [block, columns]} each, if heads are
     * copied.
     */
    private final long queryRows;

    private final long doutRows;
    private final long resultRows;

    Scratch(int worker, int length) {
      long ofScores = (long) length * block;
      long ofKeys = (long) length * columns;
      long ofQueries = (long) block * columns;
      boolean copies = copies();
      CpuTensor memory =
          workspace.of(
              worker,
              2 * ofScores
                  + (long) headDim * block
                  + block
                  + (copies ? 4 : 2) * ofKeys
                  + (copies ? 3 * ofQueries : 0));
      long at = memory.address(0);
      scores = at;
      dscores = scores + ELEMENT * ofScores;
      transposed = dscores + ELEMENT * ofScores;
      positions = transposed + ELEMENT * headDim * block;
      dkeys = rows(positions + ELEMENT * block);
      dvalues = rows(dkeys.address() + ELEMENT * ofKeys);
      keyRows = dvalues.address() + ELEMENT * ofKeys;
      valueRows = keyRows + ELEMENT * ofKeys;
      queryRows = valueRows + ELEMENT * ofKeys;
      doutRows = queryRows + ELEMENT * ofQueries;
      resultRows = doutRows + ELEMENT * ofQueries;
    }

    private Matrix rows(long at) {
      return new Matrix(at, ELEMENT * columns, ELEMENT);
    }

    /**
     * The rows of a head as the right operand of a product: in place, or a copy padded with zeros.
     */
    private Matrix right(Matrix head, int count, long to) {
      if (!copies()) {
        return head;
      }
      Native.zero(to, (long) count * columns);
      Matrix copy = rows(to);
      head.copyTo(copy, count, headDim);
      return copy;
    }

    /**
     * {@code c = a · b}, or {@code c += a · b}, with b {@code [k, columns]} and c {@code [m,
     * columns]} row-major.
     */
    private void multiply(int m, int k, Matrix a, Matrix b, Tiles.Sums sums, Matrix c) {
      for (int j = 0; j < columns; j += block) {
        int vectors = Math.min(Tiles.VECTORS, (columns - j) / WIDTH);
        tiles.multiplyRows(m, vectors, sums, a, b.from(0, j), c.from(0, j), k);
      }
    }

    /** The rows of a head = a · b, through scratch memory if heads are copied. */
    private void result(int m, int k, Matrix a, Matrix b, Matrix head) {
      Matrix result = copies() ? rows(resultRows) : head;
      multiply(m, k, a, b, Tiles.Sums.NEW, result);
      if (copies()) {
        result.copyTo(head, m, headDim);
      }
    }

    /** scores {@code [seen, block]} = head · rowsᵀ, for {@code count} rows of at most a block. */
    private void scores(int seen, Matrix head, Matrix rows, int count, long to) {
      if (count < block) {
        Native.zero(transposed, (long) headDim * block);
      }
      Matrix right = new Matrix(transposed, row, ELEMENT);
      tiles.transposeMatrix(count, headDim, rows, right);
      Matrix result = new Matrix(to, row, ELEMENT);
      tiles.multiplyRows(seen, Tiles.VECTORS, Tiles.Sums.NEW, head, right, result, headDim);
    }
  }

  /** Whether heads are copied to padded rows. */
  private boolean copies() {
    return columns != headDim;
  }

  /**
   * The work on one sequence and key head: its first row, its number of keys, and its range of
   * queries.
   */
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

  /** Forward pass: {@code out = softmax(q · kᵀ / √d) · v}. */
  void forward(CpuTensor out, CpuTensor q, CpuTensor k, CpuTensor v) {
    units(
        (scratch, start, length, kvHead, from, to) -> {
          Matrix keys = head(k, start, kvHead);
          Matrix values = scratch.right(head(v, start, kvHead), length, scratch.valueRows);
          for (int member = 0; member < group; member++) {
            for (int first = from; first < to; first += block) {
              int rows = Math.min(block, to - first);
              int head = kvHead * group + member;
              int seen = probabilities(scratch, keys, head(q, first, head), first, rows);
              // out = P · v
              Matrix transposed = new Matrix(scratch.scores, ELEMENT, row);
              scratch.result(rows, seen, transposed, values, head(out, first, head));
            }
          }
        });
  }

  /**
   * Backward pass, with P = softmax(q · kᵀ / √d). The code works on the transposes Pᵀ, dPᵀ and dSᵀ,
   * whose columns are queries:
   *
   * <pre>
   *   dv  = Σ Pᵀ · dout
   *   dPᵀ = v · doutᵀ
   *   dSᵀ = Pᵀ ∘ (dPᵀ − Σ_keys Pᵀ ∘ dPᵀ) / √d
   *   dq  = dS · k
   *   dk  = Σ dSᵀ · q
   * </pre>
   *
   * <p>dq, dk and dv may take the place of q, k and v.
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
          Matrix keys = head(k, start, kvHead);
          Matrix values = head(v, start, kvHead);
          Matrix rightKeys = scratch.right(keys, length, scratch.keyRows);
          Native.zero(scratch.dkeys.address(), (long) length * columns);
          Native.zero(scratch.dvalues.address(), (long) length * columns);
          for (int member = 0; member < group; member++) {
            for (int first = from; first < to; first += block) {
              int rows = Math.min(block, to - first);
              int head = kvHead * group + member;
              Matrix query = head(q, first, head);
              Matrix gradient = head(dout, first, head);
              int seen = probabilities(scratch, keys, query, first, rows);
              Matrix p = new Matrix(scratch.scores, row, ELEMENT);
              Matrix ds = new Matrix(scratch.dscores, row, ELEMENT);
              // dv += Pᵀ · dout
              Matrix right = scratch.right(gradient, rows, scratch.doutRows);
              scratch.multiply(seen, rows, p, right, Tiles.Sums.CONTINUED, scratch.dvalues);
              // dPᵀ = v · doutᵀ
              scratch.scores(seen, values, gradient, rows, scratch.dscores);
              for (long lane = 0; lane < row; lane += VECTOR) {
                softmaxBackward(scratch.dscores + lane, scratch.scores + lane, row, seen, scale);
              }
              // dk += dSᵀ · q
              right = scratch.right(query, rows, scratch.queryRows);
              scratch.multiply(seen, rows, ds, right, Tiles.Sums.CONTINUED, scratch.dkeys);
              // dq = dS · k
              scratch.result(rows, seen, ds.transposed(), rightKeys, head(dq, first, head));
            }
          }
          scratch.dkeys.copyTo(head(dk, start, kvHead), length, headDim);
          scratch.dvalues.copyTo(head(dv, start, kvHead), length, headDim);
        });
  }

  /** The elements of a head in all rows, from a given row on. */
  private Matrix head(CpuTensor x, int row, int head) {
    return x.matrix().from(row, head * headDim);
  }

  /**
   * scores {@code [seen, block]} = the transpose of softmax(q · kᵀ / √d). A column has the
   * probabilities over the tokens up to its own, and 0 for later tokens. A column without a query
   * has finite values.
   *
   * @return number of keys that the last query attends to
   */
  private int probabilities(Scratch scratch, Matrix keys, Matrix query, int first, int rows) {
    int seen = positions[first + rows - 1] + 1;
    for (int i = 0; i < block; i++) {
      put(scratch.positions + ELEMENT * i, positions[first + Math.min(i, rows - 1)]);
    }
    scratch.scores(seen, keys, query, rows, scratch.scores);
    overwriteLaterKeys(scratch, positions[first], seen, Float.NEGATIVE_INFINITY);
    for (long lane = 0; lane < row; lane += VECTOR) {
      softmax(scratch.scores + lane, row, seen, scale);
    }
    overwriteLaterKeys(scratch, positions[first], seen, 0);
    return seen;
  }

  /** Overwrites the scores of keys that are later than the token of a column. */
  private void overwriteLaterKeys(Scratch scratch, int earliest, int seen, float value) {
    FloatVector values = FloatVector.broadcast(F, value);
    for (long lane = 0; lane < row; lane += VECTOR) {
      FloatVector positions =
          FloatVector.fromMemorySegment(F, ALL, scratch.positions + lane, ORDER);
      for (int key = earliest + 1; key < seen; key++) {
        long at = scratch.scores + row * key + lane;
        FloatVector.fromMemorySegment(F, ALL, at, ORDER)
            .blend(values, positions.compare(VectorOperators.LT, key))
            .intoMemorySegment(ALL, at, ORDER);
      }
    }
  }

  /**
   * The softmax of α · scores, for a vector of columns. It contains the code of {@link Lanes#exp},
   * because the compiler can reach its inlining limit in this method.
   */
  private static void softmax(long scores, long row, int seen, float alpha) {
    long end = scores + row * seen;
    FloatVector highest = FloatVector.fromMemorySegment(F, ALL, scores, ORDER);
    for (long at = scores; at < end; at += row) {
      highest = highest.max(FloatVector.fromMemorySegment(F, ALL, at, ORDER));
    }
    FloatVector scale = FloatVector.broadcast(F, alpha);
    FloatVector sums = FloatVector.zero(F);
    for (long at = scores; at < end; at += row) {
      FloatVector x =
          FloatVector.fromMemorySegment(F, ALL, at, ORDER).sub(highest).mul(scale).max(LOWEST);
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
    for (long at = scores; at < end; at += row) {
      FloatVector.fromMemorySegment(F, ALL, at, ORDER)
          .mul(inverse)
          .intoMemorySegment(ALL, at, ORDER);
    }
  }

  /** Replaces dPᵀ by α · Pᵀ ∘ (dPᵀ − Σ_keys Pᵀ ∘ dPᵀ), for a vector of columns. */
  private static void softmaxBackward(long dscores, long scores, long row, int seen, float alpha) {
    long length = row * seen;
    FloatVector products = FloatVector.zero(F);
    for (long at = 0; at < length; at += row) {
      FloatVector p = FloatVector.fromMemorySegment(F, ALL, scores + at, ORDER);
      products = FloatVector.fromMemorySegment(F, ALL, dscores + at, ORDER).fma(p, products);
    }
    FloatVector scale = FloatVector.broadcast(F, alpha);
    for (long at = 0; at < length; at += row) {
      FloatVector p = FloatVector.fromMemorySegment(F, ALL, scores + at, ORDER);
      FloatVector.fromMemorySegment(F, ALL, dscores + at, ORDER)
          .sub(products)
          .mul(p.mul(scale))
          .intoMemorySegment(ALL, dscores + at, ORDER);
    }
  }
}
