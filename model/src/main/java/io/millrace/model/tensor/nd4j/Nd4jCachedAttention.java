package io.millrace.model.tensor.nd4j;

import io.millrace.model.tensor.Sequences;
import java.util.Arrays;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/**
 * Attention of new tokens over the cached ones of their sequence.
 *
 * <p>B is the number of sequences, T the most new tokens of one, L the longest prefix, new tokens
 * included, G = heads / kvHeads, d = headDim.
 */
final class Nd4jCachedAttention {

  private static final float MASKED = -1e30f;

  private final Nd4jKvCache cache;
  private final int layer;
  private final int[] slots;
  private final Sequences sequences;
  private final int[] firstPositions;
  private final Scratch scratch;

  Nd4jCachedAttention(
      Nd4jKvCache cache,
      int layer,
      int[] slots,
      Sequences sequences,
      int[] firstPositions,
      Scratch scratch) {
    this.cache = cache;
    this.layer = layer;
    this.slots = slots;
    this.sequences = sequences;
    this.firstPositions = firstPositions;
    this.scratch = scratch;
    requireFit();
  }

  private void requireFit() {
    if (layer < 0 || layer >= cache.keys.length) {
      throw new IllegalArgumentException(
          "cachedAttention: no layer %d in a KV cache of %d".formatted(layer, cache.keys.length));
    }
    if (slots.length != sequences.count() || firstPositions.length != sequences.count()) {
      throw new IllegalArgumentException(
          "cachedAttention: %d slots and %d first positions for %d sequences"
              .formatted(slots.length, firstPositions.length, sequences.count()));
    }
    boolean[] used = new boolean[cache.slots()];
    for (int b = 0; b < sequences.count(); b++) {
      if (slots[b] < 0 || slots[b] >= used.length || used[slots[b]]) {
        throw new IllegalArgumentException(
            "cachedAttention: slots %s are not distinct ones of %d"
                .formatted(Arrays.toString(slots), used.length));
      }
      used[slots[b]] = true;
      if (firstPositions[b] < 0 || firstPositions[b] + sequences.length(b) > cache.capacity()) {
        throw new IllegalArgumentException(
            "cachedAttention: %d tokens from position %d do not fit in a KV cache of %d"
                .formatted(sequences.length(b), firstPositions[b], cache.capacity()));
      }
    }
  }

  /** Into out [tokens, heads·d]. */
  void forward(INDArray out, INDArray q, INDArray k, INDArray v, int heads) {
    append(cache.keys[layer], k);
    append(cache.values[layer], v);
    int batch = sequences.count();
    int time = sequences.maxLength();
    int group = heads / cache.kvHeads;
    int prefix = 0;
    for (int b = 0; b < batch; b++) {
      prefix = Math.max(prefix, firstPositions[b] + sequences.length(b));
    }
    INDArray cacheHeads = scratch.ints(cacheHeads());
    INDArray keys = Ops.gather(scratch, cache.prefix(cache.keys[layer], prefix), cacheHeads);
    INDArray values = Ops.gather(scratch, cache.prefix(cache.values[layer], prefix), cacheHeads);

    INDArray queries =
        scratch
            .own(
                Ops.gather(scratch, q, scratch.ints(toPadded(time)))
                    .reshape('c', batch, time, heads, cache.headDim)
                    .permute(0, 2, 1, 3)
                    .dup('c'))
            .reshape('c', (long) batch * cache.kvHeads, (long) group * time, cache.headDim);
    INDArray scores = Ops.matmul(scratch, queries, false, keys, true);
    scores.muli(1 / Math.sqrt(cache.headDim));
    scores
        .reshape('c', batch, heads, time, prefix)
        .addi(mask(time, prefix).reshape('c', batch, 1, time, prefix));
    Ops.softmax(scores);
    INDArray attended = Ops.matmul(scratch, scores, false, values, false);
    INDArray rows =
        scratch
            .own(
                attended
                    .reshape('c', batch, heads, time, cache.headDim)
                    .permute(0, 2, 1, 3)
                    .dup('c'))
            .reshape('c', (long) batch * time, (long) heads * cache.headDim);
    Ops.gather(out, rows, scratch.ints(toPacked(time)));
  }

  /** Writes rows [tokens, kvHeads·d] into the cache. */
  private void append(INDArray store, INDArray rows) {
    int[] indices = new int[sequences.tokens() * cache.kvHeads];
    int at = 0;
    for (int b = 0; b < sequences.count(); b++) {
      for (int t = 0; t < sequences.length(b); t++) {
        for (int head = 0; head < cache.kvHeads; head++) {
          int cacheHead = slots[b] * cache.kvHeads + head;
          indices[at++] = cacheHead * cache.capacity() + firstPositions[b] + t;
        }
      }
    }
    INDArray byHead = rows.reshape('c', indices.length, cache.headDim);
    INDArray storeRows = store.reshape('c', store.length() / cache.headDim, cache.headDim);
    Ops.scatter(storeRows, scratch.ints(indices), byHead);
  }

  /** Which of the cache's [slots · kvHeads] each sequence's key heads are, [B·kvHeads]. */
  private int[] cacheHeads() {
    int[] indices = new int[sequences.count() * cache.kvHeads];
    for (int i = 0; i < indices.length; i++) {
      indices[i] = slots[i / cache.kvHeads] * cache.kvHeads + i % cache.kvHeads;
    }
    return indices;
  }

  /** [B, T, L]: a token sees positions up to its own. */
  private INDArray mask(int time, int prefix) {
    float[] mask = new float[sequences.count() * time * prefix];
    for (int b = 0; b < sequences.count(); b++) {
      for (int t = 0; t < time; t++) {
        int row = (b * time + t) * prefix;
        Arrays.fill(mask, row + Math.min(prefix, firstPositions[b] + t + 1), row + prefix, MASKED);
      }
    }
    return scratch.own(Nd4j.createFromArray(mask));
  }

  private int[] toPadded(int time) {
    int[] padded = new int[sequences.count() * time];
    for (int b = 0; b < sequences.count(); b++) {
      for (int t = 0; t < time; t++) {
        padded[b * time + t] = sequences.start(b) + Math.min(t, sequences.length(b) - 1);
      }
    }
    return padded;
  }

  private int[] toPacked(int time) {
    int[] packed = new int[sequences.tokens()];
    for (int b = 0; b < sequences.count(); b++) {
      for (int t = 0; t < sequences.length(b); t++) {
        packed[sequences.start(b) + t] = b * time + t;
      }
    }
    return packed;
  }
}
