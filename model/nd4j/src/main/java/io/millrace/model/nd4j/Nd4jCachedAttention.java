package io.millrace.model.nd4j;

import io.millrace.model.tensor.Arguments;
import io.millrace.model.tensor.CachedSequences;
import java.util.Arrays;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/**
 * Attention of new tokens over a KV cache.
 *
 * <p>In shapes, B is the number of sequences, T the maximum new tokens of a sequence, L the longest
 * length with new tokens included, G = heads / kvHeads and d = headDim.
 */
final class Nd4jCachedAttention {

  private static final float MASKED = -1e30f;

  private final Nd4jKvCache cache;
  private final int layer;
  private final CachedSequences sequences;
  private final Scratch scratch;

  Nd4jCachedAttention(Nd4jKvCache cache, int layer, CachedSequences sequences, Scratch scratch) {
    Arguments.requireLayer(layer, cache.keys.length);
    sequences.requireFit(cache);
    this.cache = cache;
    this.layer = layer;
    this.sequences = sequences;
    this.scratch = scratch;
  }

  /** Writes k and v to the cache, then computes out {@code [tokens, heads · d]}. */
  void forward(INDArray out, INDArray q, INDArray k, INDArray v, int heads) {
    INDArray newRows = scratch.ints(newRows());
    Ops.scatter(cache.keys[layer], newRows, k);
    Ops.scatter(cache.values[layer], newRows, v);

    int batch = sequences.count();
    int time = sequences.tokens().maxLength();
    int length = 0;
    for (int b = 0; b < batch; b++) {
      length = Math.max(length, sequences.length(b));
    }
    INDArray rows = scratch.ints(allRows(length));
    INDArray keys = byHead(Ops.gather(scratch, cache.keys[layer], rows), length, cache.kvHeads);
    INDArray values = byHead(Ops.gather(scratch, cache.values[layer], rows), length, cache.kvHeads);
    INDArray queries = byHead(Ops.gather(scratch, q, scratch.ints(toPadded(time))), time, heads);

    INDArray scores = Ops.matmul(scratch, queries, false, keys, true);
    scores.muli(1 / Math.sqrt(cache.headDim));
    scores
        .reshape('c', batch, heads, time, length)
        .addi(mask(time, length).reshape('c', batch, 1, time, length));
    Ops.softmax(scores);
    INDArray attended = Ops.matmul(scratch, scores, false, values, false);
    INDArray padded =
        scratch
            .own(
                attended
                    .reshape('c', batch, heads, time, cache.headDim)
                    .permute(0, 2, 1, 3)
                    .dup('c'))
            .reshape('c', (long) batch * time, (long) heads * cache.headDim);
    Ops.gather(out, padded, scratch.ints(toPacked(time)));
  }

  /** Rows {@code [B · time, n · d]} as {@code [B · kvHeads, (n / kvHeads) · time, d]}. */
  private INDArray byHead(INDArray rows, int time, int n) {
    int batch = sequences.count();
    return scratch
        .own(rows.reshape('c', batch, time, n, cache.headDim).permute(0, 2, 1, 3).dup('c'))
        .reshape('c', (long) batch * cache.kvHeads, (long) n / cache.kvHeads * time, cache.headDim);
  }

  /** Row of a position in the arrays of the cache. */
  private int cacheRow(int sequence, int position) {
    int page = sequences.pages()[sequence][position / cache.pageTokens()];
    return page * cache.pageTokens() + position % cache.pageTokens();
  }

  /** Cache row of each new token, {@code [tokens]}. */
  private int[] newRows() {
    int[] rows = new int[sequences.tokens().tokens()];
    for (int b = 0; b < sequences.count(); b++) {
      for (int t = 0; t < sequences.tokens().length(b); t++) {
        rows[sequences.tokens().start(b) + t] = cacheRow(b, sequences.firstPositions()[b] + t);
      }
    }
    return rows;
  }

  /**
   * Cache row of each position of each sequence, {@code [B · L]}. Padding repeats the last row of a
   * sequence.
   */
  private int[] allRows(int length) {
    int[] rows = new int[sequences.count() * length];
    for (int b = 0; b < sequences.count(); b++) {
      for (int t = 0; t < length; t++) {
        rows[b * length + t] = cacheRow(b, Math.min(t, sequences.length(b) - 1));
      }
    }
    return rows;
  }

  /** {@code [B, T, L]}: a token attends to positions up to its own. */
  private INDArray mask(int time, int length) {
    float[] mask = new float[sequences.count() * time * length];
    for (int b = 0; b < sequences.count(); b++) {
      for (int t = 0; t < time; t++) {
        int row = (b * time + t) * length;
        int seen = sequences.firstPositions()[b] + t + 1;
        Arrays.fill(mask, row + Math.min(length, seen), row + length, MASKED);
      }
    }
    return scratch.own(Nd4j.createFromArray(mask));
  }

  /** Packed row of each padded row, {@code [B · T]}; padding repeats the last row of a sequence. */
  private int[] toPadded(int time) {
    int[] padded = new int[sequences.count() * time];
    for (int b = 0; b < sequences.count(); b++) {
      for (int t = 0; t < time; t++) {
        padded[b * time + t] =
            sequences.tokens().start(b) + Math.min(t, sequences.tokens().length(b) - 1);
      }
    }
    return padded;
  }

  /** Padded row of each packed row, {@code [tokens]}. */
  private int[] toPacked(int time) {
    int[] packed = new int[sequences.tokens().tokens()];
    for (int b = 0; b < sequences.count(); b++) {
      for (int t = 0; t < sequences.tokens().length(b); t++) {
        packed[sequences.tokens().start(b) + t] = b * time + t;
      }
    }
    return packed;
  }
}
