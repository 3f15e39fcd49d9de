package io.millrace.model.cpu;

import static io.millrace.model.cpu.tiles.Lanes.WIDTH;
import static io.millrace.model.cpu.tiles.Lanes.all;
import static io.millrace.model.cpu.tiles.Lanes.exp;
import static io.millrace.model.cpu.tiles.Lanes.load;
import static io.millrace.model.cpu.tiles.Lanes.rest;
import static io.millrace.model.cpu.tiles.Lanes.store;
import static io.millrace.model.cpu.tiles.Lanes.sum;
import static io.millrace.model.cpu.tiles.Lanes.zero;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;

/**
 * The language-model head, fused with log-probabilities and entropies. The logits z {@code [rows,
 * vocab]} = x · headᵀ exist only for a chunk of rows at a time. A chunk has at most {@value #CHUNK}
 * logits, or one row.
 */
final class Head {

  /** Logits of a chunk: 4 MiB. */
  private static final long CHUNK = 1 << 20;

  private final WorkPool pool;
  private final Products products;
  private final CpuTensor logits;
  private final CpuTensor x;
  private final CpuTensor head;
  private final int[] targets;
  private final float temperature;
  private final int vocab;
  private final int chunkRows;

  Head(
      WorkPool pool,
      Products products,
      Workspace workspace,
      CpuTensor x,
      CpuTensor head,
      int[] targets,
      float temperature) {
    this.pool = pool;
    this.products = products;
    this.x = x;
    this.head = head;
    this.targets = targets;
    this.temperature = temperature;
    this.vocab = head.rows();
    this.chunkRows = (int) Math.min(x.rows(), Math.max(1, CHUNK / vocab));
    this.logits = workspace.of(pool.slot(), (long) chunkRows * vocab);
  }

  /** Processes a row of logits, which begin at index {@code at}. */
  private interface Row {
    void run(int row, long at);
  }

  /** Processes a chunk after all its rows have been processed. */
  private interface Chunk {
    void run(int first, int rows, CpuTensor logits);
  }

  private void chunks(Row each, Chunk then) {
    for (int first = 0; first < x.rows(); first += chunkRows) {
      int from = first;
      int rows = Math.min(chunkRows, x.rows() - first);
      CpuTensor chunk = logits.slice(0, rows, vocab);
      products.linear(chunk, rows(x, first, rows), head);
      RowBlocks blocks = RowBlocks.of(rows, vocab, pool);
      pool.run(
          blocks.count(),
          (unit, worker) -> {
            for (int row = blocks.start(unit); row < blocks.end(unit); row++) {
              each.run(from + row, (long) row * vocab);
            }
          });
      then.run(first, rows, chunk);
    }
  }

  private static CpuTensor rows(CpuTensor matrix, int first, int rows) {
    return matrix.slice((long) first * matrix.columns(), rows, matrix.columns());
  }

  /** Forward pass, see {@link CpuBackend#logProbs}. */
  void forward(float[] logProbs, float[] entropies) {
    chunks(
        (row, at) -> {
          Normaliser n = normaliser(logits.memory(), at);
          float target = logits.memory().getAtIndex(JAVA_FLOAT, at + targets[row]);
          logProbs[row] = (float) ((target - n.max) / temperature - Math.log(n.sum));
          entropies[row] = (float) n.entropy();
        },
        (first, rows, chunk) -> {});
  }

  /**
   * The statistics of a row of logits: p = e^((z − max) / temperature) / sum.
   *
   * @param max largest logit
   * @param sum Σ e^((z − max) / temperature)
   * @param weighted Σ e^((z − max) / temperature) · (z − max) / temperature
   */
  private record Normaliser(float max, double sum, double weighted) {
    /** The entropy −Σ p · ln p, in nats. */
    double entropy() {
      return Math.log(sum) - weighted / sum;
    }
  }

  private Normaliser normaliser(MemorySegment z, long at) {
    FloatVector highest = all(Float.NEGATIVE_INFINITY);
    int j = 0;
    for (; j <= vocab - WIDTH; j += WIDTH) {
      highest = highest.max(load(z, at + j));
    }
    float max = highest.reduceLanes(VectorOperators.MAX);
    for (; j < vocab; j++) {
      max = Math.max(max, z.getAtIndex(JAVA_FLOAT, at + j));
    }
    float inverse = 1 / temperature;
    FloatVector sums = zero();
    FloatVector weighted = zero();
    for (j = 0; j <= vocab - WIDTH; j += WIDTH) {
      FloatVector shifted = load(z, at + j).sub(max).mul(inverse);
      FloatVector e = exp(shifted);
      sums = sums.add(e);
      weighted = weighted.add(weigh(e, shifted));
    }
    if (j < vocab) {
      VectorMask<Float> mask = rest(j, vocab);
      FloatVector shifted = load(z, at + j, mask).sub(max).mul(inverse);
      FloatVector e = zero().blend(exp(shifted), mask);
      sums = sums.add(e);
      weighted = weighted.add(weigh(e, shifted));
    }
    return new Normaliser(max, sum(sums), sum(weighted));
  }

  /**
   * e · x. The result of exp has a lower bound, so x gets the same bound. Otherwise a very negative
   * x would add a large product.
   */
  private static FloatVector weigh(FloatVector e, FloatVector x) {
    return e.mul(x.max(-88f));
  }

  /**
   * Backward pass, with H the entropy of a row:
   *
   * <pre>
   *   dz = (dLogProb · (1{target} − p) − dEntropy · p ∘ (ln p + H)) / temperature
   *   dx += dz · head,   dhead += dzᵀ · x
   * </pre>
   *
   * @param dhead null if the head is frozen
   */
  void backward(CpuTensor dx, CpuTensor dhead, float[] dLogProbs, float[] dEntropies) {
    chunks(
        (row, at) -> rowBackward(at, targets[row], dLogProbs[row], dEntropies[row]),
        (first, rows, chunk) ->
            products.linearBackward(
                rows(dx, first, rows), dhead, chunk, rows(x, first, rows), head));
  }

  /** Replaces a row of logits by dz. */
  private void rowBackward(long at, int target, float dLogProb, float dEntropy) {
    MemorySegment z = logits.memory();
    Normaliser n = normaliser(z, at);
    float inverse = 1 / temperature;
    float logSum = (float) Math.log(n.sum);
    float shift = (float) n.entropy() - logSum;
    FloatVector byLogProb = all(-dLogProb * inverse);
    FloatVector byEntropy = all(-dEntropy * inverse);
    int j = 0;
    for (; j <= vocab - WIDTH; j += WIDTH) {
      FloatVector shifted = load(z, at + j).sub(n.max).mul(inverse);
      FloatVector p = exp(shifted.sub(logSum));
      store(shifted.max(-88f).add(shift).fma(byEntropy, byLogProb).mul(p), z, at + j);
    }
    if (j < vocab) {
      VectorMask<Float> mask = rest(j, vocab);
      FloatVector shifted = load(z, at + j, mask).sub(n.max).mul(inverse);
      FloatVector p = exp(shifted.sub(logSum));
      store(shifted.max(-88f).add(shift).fma(byEntropy, byLogProb).mul(p), z, at + j, mask);
    }
    float there = z.getAtIndex(JAVA_FLOAT, at + target);
    z.setAtIndex(JAVA_FLOAT, at + target, there + dLogProb * inverse);
  }
}
