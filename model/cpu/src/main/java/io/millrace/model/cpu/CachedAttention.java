package io.millrace.model.cpu;

import static io.millrace.model.cpu.tiles.Lanes.WIDTH;
import static io.millrace.model.cpu.tiles.Lanes.all;
import static io.millrace.model.cpu.tiles.Lanes.exp;
import static io.millrace.model.cpu.tiles.Lanes.first;
import static io.millrace.model.cpu.tiles.Lanes.padded;
import static io.millrace.model.cpu.tiles.Lanes.sum;
import static io.millrace.model.cpu.tiles.Lanes.whole;
import static io.millrace.model.cpu.tiles.Lanes.zero;
import static io.millrace.model.cpu.tiles.Matrix.ELEMENT;
import static io.millrace.model.cpu.tiles.Native.get;
import static io.millrace.model.cpu.tiles.Native.load;
import static io.millrace.model.cpu.tiles.Native.put;
import static io.millrace.model.cpu.tiles.Native.store;

import io.millrace.model.cpu.tiles.Matrix;
import io.millrace.model.cpu.tiles.Native;
import io.millrace.model.cpu.tiles.Tiles;
import io.millrace.model.tensor.CachedSequences;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/**
 * Attention of new tokens over a KV cache. {@link Tiles} compute the products with the keys and the
 * values of a page, for all query heads of a key head at once. The sums of a query run in the order
 * of elements and of positions, whatever else is in the batch and however long a page is.
 *
 * <p>Tiles read whole vectors. Where a page or a head does not fill its last vector, the lanes
 * beyond it hold other elements of the cache, and their results are dropped.
 */
final class CachedAttention {

  private static final long VECTOR = ELEMENT * WIDTH;

  /** Multiply-adds below which a second thread does not pay. */
  private static final long MIN_WORK = 64 * 1024;

  private final Workspace workspace;
  private final Tiles tiles;
  private final CpuKvCache cache;
  private final CachedSequences sequences;
  private final int heads;
  private final int group;
  private final int headDim;
  private final int pageTokens;
  private final float scale;
  private final Matrix keys;
  private final Matrix values;

  CachedAttention(
      Workspace workspace,
      Tiles tiles,
      CpuKvCache cache,
      int layer,
      CachedSequences sequences,
      int heads) {
    this.workspace = workspace;
    this.tiles = tiles;
    this.cache = cache;
    this.sequences = sequences;
    this.heads = heads;
    this.group = heads / cache.kvHeads;
    this.headDim = cache.headDim;
    this.pageTokens = cache.pageTokens();
    this.scale = (float) (1 / Math.sqrt(headDim));
    this.keys = Matrix.ofRows(cache.keys(layer).address(0), pageTokens);
    this.values = Matrix.ofRows(cache.values(layer).address(0), headDim);
  }

  /** Writes k and v to the cache, then computes out, see {@link CpuBackend#cachedAttention}. */
  void forward(CpuTensor out, CpuTensor q, CpuTensor k, CpuTensor v, WorkPool pool) {
    int pairs = sequences.count() * cache.kvHeads;
    int pairsEach = work() < MIN_WORK ? pairs : 1;
    pool.run(
        pairs / pairsEach,
        (unit, worker) -> {
          for (int pair = unit * pairsEach; pair < (unit + 1) * pairsEach; pair++) {
            attend(out, q, k, v, pair / cache.kvHeads, pair % cache.kvHeads, worker);
          }
        });
  }

  private long work() {
    long pairs = 0;
    for (int i = 0; i < sequences.count(); i++) {
      pairs += (long) sequences.tokens().length(i) * sequences.length(i);
    }
    return 2 * pairs * heads * headDim;
  }

  /** Attention of a sequence's new tokens, for the query heads of one key head. */
  private void attend(
      CpuTensor out, CpuTensor q, CpuTensor k, CpuTensor v, int sequence, int kvHead, int worker) {
    int start = sequences.tokens().start(sequence);
    int[] pages = sequences.pages()[sequence];
    int firstPosition = sequences.firstPositions()[sequence];
    int width = Math.ceilDiv(sequences.length(sequence), pageTokens) * pageTokens;
    // Scores are computed for whole pages and in whole vectors.
    int scoreColumns = padded(width) + Tiles.VECTORS * WIDTH;
    int columns = padded(headDim);
    CpuTensor scratch = workspace.of(worker, (long) group * (scoreColumns + columns));
    Matrix p = Matrix.ofRows(scratch.address(0), scoreColumns);
    Matrix mixed = Matrix.ofRows(scratch.address((long) group * scoreColumns), columns);
    for (int t = 0; t < sequences.tokens().length(sequence); t++) {
      long from = ((long) (start + t) * cache.kvHeads + kvHead) * headDim;
      append(k.address(from), v.address(from), kvHead, pages, firstPosition + t);
    }
    for (int t = 0; t < sequences.tokens().length(sequence); t++) {
      int seen = firstPosition + t + 1;
      long at = ((long) (start + t) * heads + (long) kvHead * group) * headDim;
      scores(p, Matrix.ofRows(q.address(at), headDim), kvHead, pages, seen);
      for (int member = 0; member < group; member++) {
        softmax(p.at(member, 0), seen, scale);
      }
      mix(mixed, p, kvHead, pages, seen);
      mixed.copyTo(Matrix.ofRows(out.address(at), headDim), group, headDim);
    }
  }

  private void append(long k, long v, int kvHead, int[] pages, int position) {
    long page = ELEMENT * cache.at(pages[position / pageTokens], kvHead);
    int slot = position % pageTokens;
    for (int j = 0; j < headDim; j++) {
      put(keys.at(j, slot) + page, get(k + ELEMENT * j));
    }
    Native.copy(v, values.at(slot, 0) + page, headDim);
  }

  /** p = q · k, for all positions of the pages with the first {@code seen} positions. */
  private void scores(Matrix p, Matrix q, int kvHead, int[] pages, int seen) {
    int used = Math.ceilDiv(seen, pageTokens);
    for (int page = 0; page < used; ) {
      int run = run(pages, page, used);
      Matrix b = keys.plus(ELEMENT * cache.at(pages[page], kvHead));
      for (int slot = 0; slot < pageTokens; slot += tiles.columns()) {
        // The next page overwrites the elements beyond this one.
        Matrix c = p.from(0, page * pageTokens + slot);
        products(
            pageTokens - slot,
            Tiles.Sums.NEW,
            q,
            b.from(0, slot),
            c,
            headDim,
            run,
            0,
            step(pages, page, run),
            ELEMENT * pageTokens);
      }
      page += run;
    }
  }

  /** mixed = Σ p · v, over the first {@code seen} positions. */
  private void mix(Matrix mixed, Matrix p, int kvHead, int[] pages, int seen) {
    int whole = seen / pageTokens;
    Native.zero(mixed.address(), group * mixed.rowStride() / ELEMENT);
    for (int page = 0; page < whole; ) {
      int run = run(pages, page, whole);
      mix(mixed, p, kvHead, pages, page, pageTokens, run);
      page += run;
    }
    if (seen % pageTokens > 0) {
      mix(mixed, p, kvHead, pages, whole, seen % pageTokens, 1);
    }
  }

  /** Adds the first positions of some pages, which are a run. */
  private void mix(
      Matrix mixed, Matrix p, int kvHead, int[] pages, int page, int positions, int run) {
    Matrix a = p.from(0, page * pageTokens);
    Matrix b = values.plus(ELEMENT * cache.at(pages[page], kvHead));
    for (int j = 0; j < headDim; j += tiles.columns()) {
      products(
          headDim - j,
          Tiles.Sums.CONTINUED,
          a,
          b.from(0, j),
          mixed.from(0, j),
          positions,
          run,
          ELEMENT * pageTokens,
          step(pages, page, run),
          0);
    }
  }

  /** The number of pages from one on that are at equal distances, which one call can compute. */
  private static int run(int[] pages, int page, int end) {
    int next = page + 1;
    while (next < end && pages[next] - pages[next - 1] == pages[page + 1] - pages[page]) {
      next++;
    }
    return next - page;
  }

  /** Distance of the pages of a run. */
  private long step(int[] pages, int page, int run) {
    return run == 1 ? 0 : ELEMENT * (cache.at(pages[page + 1], 0) - cache.at(pages[page], 0));
  }

  /** Tiles over the next columns, at most as many as a tile has, for all query heads. */
  private void products(
      int columns,
      Tiles.Sums sums,
      Matrix a,
      Matrix b,
      Matrix c,
      int k,
      int count,
      long aStep,
      long bStep,
      long cStep) {
    int vectors = Math.min(Tiles.VECTORS, Math.ceilDiv(columns, WIDTH));
    for (int row = 0; row < group; row += tiles.rows()) {
      int rows = Math.min(tiles.rows(), group - row);
      tiles.multiply(
          rows, vectors, sums, a.from(row, 0), b, c.from(row, 0), k, count, aStep, bStep, cStep);
    }
  }

  /** p = softmax(scale · p), over the first {@code seen} elements. */
  private static void softmax(long p, int seen, float scale) {
    long end = p + ELEMENT * seen;
    long last = p + ELEMENT * whole(seen);
    if (last < end) {
      store(all(Float.NEGATIVE_INFINITY).blend(load(last), first(seen % WIDTH)), last);
    }
    float sum = exponentials(p, end, highest(p, end), scale);
    FloatVector inverse = all(1 / sum);
    for (long at = p; at < end; at += VECTOR) {
      store(load(at).mul(inverse), at);
    }
  }

  private static float highest(long p, long end) {
    FloatVector highest = load(p);
    for (long at = p + VECTOR; at < end; at += VECTOR) {
      highest = highest.max(load(at));
    }
    return highest.reduceLanes(VectorOperators.MAX);
  }

  /** Replaces p by e^(scale · (p − max)); returns the sum. */
  private static float exponentials(long p, long end, float max, float scale) {
    FloatVector highest = all(max);
    FloatVector sums = zero();
    for (long at = p; at < end; at += VECTOR) {
      FloatVector e = exp(load(at).sub(highest).mul(scale));
      store(e, at);
      sums = sums.add(e);
    }
    return sum(sums);
  }
}
