package io.millrace.model.cpu;

import static io.millrace.model.cpu.tiles.Lanes.WIDTH;
import static io.millrace.model.cpu.tiles.Lanes.all;
import static io.millrace.model.cpu.tiles.Lanes.exp;
import static io.millrace.model.cpu.tiles.Lanes.first;
import static io.millrace.model.cpu.tiles.Lanes.load;
import static io.millrace.model.cpu.tiles.Lanes.padded;
import static io.millrace.model.cpu.tiles.Lanes.rest;
import static io.millrace.model.cpu.tiles.Lanes.store;
import static io.millrace.model.cpu.tiles.Lanes.sum;
import static io.millrace.model.cpu.tiles.Lanes.whole;
import static io.millrace.model.cpu.tiles.Lanes.zero;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import io.millrace.model.tensor.CachedSequences;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;

/**
 * Attention of new tokens over a KV cache. The work is split by sequence and key head. The sums of
 * a query have a fixed order, by position and by element, whatever else is in the batch.
 */
final class CachedAttention {

  private final Workspace workspace;
  private final CpuKvCache cache;
  private final int layer;
  private final CachedSequences sequences;
  private final int heads;
  private final int headDim;
  private final int pageTokens;
  private final float scale;

  CachedAttention(
      Workspace workspace, CpuKvCache cache, int layer, CachedSequences sequences, int heads) {
    this.workspace = workspace;
    this.cache = cache;
    this.layer = layer;
    this.sequences = sequences;
    this.heads = heads;
    this.headDim = cache.headDim;
    this.pageTokens = cache.pageTokens();
    this.scale = (float) (1 / Math.sqrt(headDim));
  }

  /** Writes k and v to the cache, then computes out, see {@link CpuBackend#cachedAttention}. */
  void forward(
      MemorySegment out, MemorySegment q, MemorySegment k, MemorySegment v, WorkPool pool) {
    int group = heads / cache.kvHeads;
    pool.run(
        sequences.count() * cache.kvHeads,
        (unit, worker) -> {
          int sequence = unit / cache.kvHeads;
          int kvHead = unit % cache.kvHeads;
          int start = sequences.tokens().start(sequence);
          int firstPosition = sequences.firstPositions()[sequence];
          int[] pages = sequences.pages()[sequence];
          int length = sequences.length(sequence);
          // Scores are computed for whole pages, and the softmax works on whole vectors.
          int width = padded(Math.ceilDiv(length, pageTokens) * pageTokens);
          MemorySegment scores = workspace.of(worker, width).memory();
          for (int t = 0; t < sequences.tokens().length(sequence); t++) {
            append(k, v, start + t, kvHead, pages, firstPosition + t);
          }
          for (int t = 0; t < sequences.tokens().length(sequence); t++) {
            int seen = firstPosition + t + 1;
            for (int member = 0; member < group; member++) {
              long at = ((long) (start + t) * heads + (long) kvHead * group + member) * headDim;
              scores(scores, q, at, kvHead, pages, seen);
              softmax(scores, 0, seen, padded(seen));
              mix(out, at, scores, kvHead, pages, seen);
            }
          }
        });
  }

  private void append(
      MemorySegment k, MemorySegment v, int token, int kvHead, int[] pages, int position) {
    long page = cache.at(pages[position / pageTokens], kvHead);
    int slot = position % pageTokens;
    long from = ((long) token * cache.kvHeads + kvHead) * headDim;
    MemorySegment keys = cache.keys(layer);
    for (int j = 0; j < headDim; j++) {
      keys.setAtIndex(
          JAVA_FLOAT, page + (long) j * pageTokens + slot, k.getAtIndex(JAVA_FLOAT, from + j));
    }
    MemorySegment.copy(
        v, 4 * from, cache.values(layer), 4 * (page + (long) slot * headDim), 4L * headDim);
  }

  /**
   * scores[p] = q · k_p / √d, for all positions p of the pages with the first {@code seen}
   * positions.
   */
  private void scores(
      MemorySegment scores, MemorySegment q, long at, int kvHead, int[] pages, int seen) {
    MemorySegment keys = cache.keys(layer);
    for (int position = 0; position < seen; position += pageTokens) {
      long page = cache.at(pages[position / pageTokens], kvHead);
      int slot = 0;
      for (; slot <= pageTokens - WIDTH; slot += WIDTH) {
        FloatVector even = zero();
        FloatVector odd = zero();
        int j = 0;
        for (; j + 1 < headDim; j += 2) {
          long row = page + (long) j * pageTokens + slot;
          even = load(keys, row).fma(all(q.getAtIndex(JAVA_FLOAT, at + j)), even);
          odd = load(keys, row + pageTokens).fma(all(q.getAtIndex(JAVA_FLOAT, at + j + 1)), odd);
        }
        if (j < headDim) {
          long row = page + (long) j * pageTokens + slot;
          even = load(keys, row).fma(all(q.getAtIndex(JAVA_FLOAT, at + j)), even);
        }
        store(even.add(odd).mul(scale), scores, position + slot);
      }
      if (slot < pageTokens) {
        VectorMask<Float> mask = rest(slot, pageTokens);
        // Two sums as above, so a score does not depend on the length of pages.
        FloatVector even = zero();
        FloatVector odd = zero();
        for (int j = 0; j < headDim; j++) {
          long row = page + (long) j * pageTokens + slot;
          FloatVector key = load(keys, row, mask);
          FloatVector query = all(q.getAtIndex(JAVA_FLOAT, at + j));
          if (j % 2 == 0) {
            even = key.fma(query, even);
          } else {
            odd = key.fma(query, odd);
          }
        }
        store(even.add(odd).mul(scale), scores, position + slot, mask);
      }
    }
  }

  /** out = Σ p · v, over the first {@code seen} positions. */
  private void mix(MemorySegment out, long at, MemorySegment p, int kvHead, int[] pages, int seen) {
    MemorySegment values = cache.values(layer);
    int j = 0;
    for (; j <= headDim - 4 * WIDTH; j += 4 * WIDTH) {
      FloatVector s0 = zero();
      FloatVector s1 = zero();
      FloatVector s2 = zero();
      FloatVector s3 = zero();
      for (int position = 0; position < seen; position += pageTokens) {
        long row = cache.at(pages[position / pageTokens], kvHead) + j;
        int end = Math.min(seen, position + pageTokens);
        for (int t = position; t < end; t++, row += headDim) {
          FloatVector weight = all(p.getAtIndex(JAVA_FLOAT, t));
          s0 = load(values, row).fma(weight, s0);
          s1 = load(values, row + WIDTH).fma(weight, s1);
          s2 = load(values, row + 2L * WIDTH).fma(weight, s2);
          s3 = load(values, row + 3L * WIDTH).fma(weight, s3);
        }
      }
      store(s0, out, at + j);
      store(s1, out, at + j + WIDTH);
      store(s2, out, at + j + 2L * WIDTH);
      store(s3, out, at + j + 3L * WIDTH);
    }
    for (; j < headDim; j += WIDTH) {
      VectorMask<Float> mask = rest(j, headDim);
      FloatVector sum = zero();
      for (int position = 0; position < seen; position += pageTokens) {
        long row = cache.at(pages[position / pageTokens], kvHead) + j;
        int end = Math.min(seen, position + pageTokens);
        for (int t = position; t < end; t++, row += headDim) {
          sum = load(values, row, mask).fma(all(p.getAtIndex(JAVA_FLOAT, t)), sum);
        }
      }
      store(sum, out, at + j, mask);
    }
  }

  /**
   * The softmax of the first {@code valid} elements of a row. The other elements become 0.
   *
   * @param stride length of the row, a multiple of the vector width
   */
  private static void softmax(MemorySegment x, long at, int valid, int stride) {
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

  /** Replaces x by e^(x − max); returns the sum. */
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
}
