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
    for (int b = 0; b < sequences.count(); b++) {
      int end = firstPositions[b] + sequences.length(b);
      if (end > cache.capacity()) {
        throw new IllegalArgumentException(
            "a sequence of %d tokens does not fit in a KV cache of %d"
                .formatted(end, cache.capacity()));
      }
    }
  }

  /** [tokens, heads·d]. */
  INDArray forward(INDArray q, INDArray k, INDArray v, int heads) {
    append(cache.keys[layer], k);
    append(cache.values[layer], v);
    int batch = sequences.count();
    int time = sequences.maxLength();
    int group = heads / cache.kvHeads;
    int prefix = 0;
    for (int b = 0; b < batch; b++) {
      prefix = Math.max(prefix, firstPositions[b] + sequences.length(b));
    }
    INDArray keys = prefixes(cache.keys[layer], prefix);
    INDArray values = prefixes(cache.values[layer], prefix);

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
    INDArray out = Ops.matmul(scratch, scores, false, values, false);
    INDArray rows =
        scratch
            .own(out.reshape('c', batch, heads, time, cache.headDim).permute(0, 2, 1, 3).dup('c'))
            .reshape('c', (long) batch * time, (long) heads * cache.headDim);
    return Ops.gather(scratch, rows, scratch.ints(toPacked(time)));
  }

  /** Writes rows [tokens, kvHeads·d] into the cache. */
  private void append(INDArray store, INDArray rows) {
    int[] indices = new int[sequences.tokens() * cache.kvHeads];
    int at = 0;
    for (int b = 0; b < sequences.count(); b++) {
      for (int t = 0; t < sequences.length(b); t++) {
        for (int head = 0; head < cache.kvHeads; head++) {
          indices[at++] = cacheRow(b, head) + firstPositions[b] + t;
        }
      }
    }
    INDArray byHead = rows.reshape('c', indices.length, cache.headDim);
    Ops.scatter(store, scratch.ints(indices), byHead);
  }

  private int cacheRow(int sequence, int head) {
    return (slots[sequence] * cache.kvHeads + head) * cache.capacity();
  }

  /** The first L cached rows of every sequence and key head, [B·kvHeads, L, d]. */
  private INDArray prefixes(INDArray store, int prefix) {
    int[] indices = new int[sequences.count() * cache.kvHeads * prefix];
    int at = 0;
    for (int b = 0; b < sequences.count(); b++) {
      for (int head = 0; head < cache.kvHeads; head++) {
        for (int position = 0; position < prefix; position++) {
          indices[at++] = cacheRow(b, head) + position;
        }
      }
    }
    return Ops.gather(scratch, store, scratch.ints(indices))
        .reshape('c', (long) sequences.count() * cache.kvHeads, prefix, cache.headDim);
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
