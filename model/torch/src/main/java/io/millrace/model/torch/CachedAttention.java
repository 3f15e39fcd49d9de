package io.millrace.model.torch;

import io.millrace.model.tensor.CachedSequences;
import io.millrace.model.torch.PackedAttention.Heads;
import io.millrace.model.torch.library.Constants;
import io.millrace.model.torch.library.Lane;
import io.millrace.model.torch.library.Rows;
import io.millrace.model.torch.library.TorchTensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Attention of new tokens over a KV cache. Sequences with equal numbers T of new tokens are
 * computed together, in float32, over the longest length L of them; positions after a token's own
 * are masked.
 */
final class CachedAttention {

  /** Maximum scores of a call. */
  private static final long SCORES = 1L << 24;

  private final Lane lane;
  private final TorchKvCache cache;
  private final Tensor cachedKeys;
  private final Tensor cachedValues;
  private final CachedSequences sequences;
  private final Heads heads;

  CachedAttention(
      Lane lane, TorchKvCache cache, int layer, CachedSequences sequences, int queryHeads) {
    this.lane = lane;
    this.cache = cache;
    this.cachedKeys = cache.keys(layer);
    this.cachedValues = cache.values(layer);
    sequences.requireFit(cache);
    this.sequences = sequences;
    this.heads = new Heads(queryHeads, cache.kvHeads(), cache.headDim());
  }

  /**
   * Writes k and v to the cache, then computes out.
   *
   * @param byLengths whether libtorch's flash attention by cumulative lengths works here
   */
  void forward(TorchTensor out, TorchTensor q, TorchTensor k, TorchTensor v, boolean byLengths) {
    Tensor newRows = lane.longs(newRows());
    cachedKeys.index_copy_(0, newRows, k.matrixAs(Constants.typeOf(cachedKeys)));
    cachedValues.index_copy_(0, newRows, v.matrixAs(Constants.typeOf(cachedValues)));
    if (byLengths && q.type() == ScalarType.BFloat16) {
      forwardByLengths(out, q);
      return;
    }
    Tensor queries = q.matrix();
    Tensor result = out.writtenMatrix();
    for (int[] group : groups()) {
      try (PointerScope _ = new PointerScope()) {
        attend(result, queries, group);
      }
    }
  }

  /** All sequences in one call, over their keys and values gathered without padding. */
  private void forwardByLengths(TorchTensor out, TorchTensor q) {
    int[] lengths = new int[sequences.count()];
    Arrays.setAll(lengths, sequences::length);
    int[] offsets = new int[lengths.length + 1];
    for (int i = 0; i < lengths.length; i++) {
      offsets[i + 1] = offsets[i] + lengths[i];
    }
    int[] rows = new int[offsets[lengths.length]];
    for (int i = 0; i < lengths.length; i++) {
      for (int position = 0; position < lengths[i]; position++) {
        rows[offsets[i] + position] = cacheRow(i, position);
      }
    }
    Tensor index = lane.longs(rows);
    Tensor result =
        VarlenAttention.forward(
            q.matrix().view(q.rows(), heads.query(), heads.width()),
            Rows.of(cachedKeys, index).view(rows.length, heads.keys(), heads.width()),
            Rows.of(cachedValues, index).view(rows.length, heads.keys(), heads.width()),
            lane.ints(sequences.tokens().offsets()),
            lane.ints(offsets),
            sequences.tokens().maxLength(),
            Arrays.stream(lengths).max().orElseThrow(),
            heads)[0];
    out.writtenMatrix().view(out.rows(), heads.query(), heads.width()).copy_(result);
  }

  /** Sequences with equal numbers of new tokens, in parts whose scores are not too many. */
  private List<int[]> groups() {
    SortedMap<Integer, List<Integer>> byTokens = new TreeMap<>();
    for (int i = 0; i < sequences.count(); i++) {
      byTokens.computeIfAbsent(sequences.tokens().length(i), _ -> new ArrayList<>()).add(i);
    }
    List<int[]> groups = new ArrayList<>();
    byTokens.forEach(
        (tokens, members) -> {
          int longest = members.stream().mapToInt(sequences::length).max().orElseThrow();
          int atOnce = (int) Math.max(1, SCORES / ((long) heads.query() * tokens * longest));
          for (int from = 0; from < members.size(); from += atOnce) {
            groups.add(
                members.subList(from, Math.min(members.size(), from + atOnce)).stream()
                    .mapToInt(Integer::intValue)
                    .toArray());
          }
        });
    return groups;
  }

  private void attend(Tensor out, Tensor q, int[] group) {
    int b = group.length;
    int t = sequences.tokens().length(group[0]);
    int length = Arrays.stream(group).map(sequences::length).max().orElseThrow();
    int[] queryRows = new int[b * t];
    int[] keyRows = new int[b * length];
    float[] mask = new float[b * t * length];
    for (int i = 0; i < b; i++) {
      int sequence = group[i];
      int own = sequences.length(sequence);
      for (int position = 0; position < length; position++) {
        // Padding repeats the last row; the mask leaves it out.
        keyRows[i * length + position] = cacheRow(sequence, Math.min(position, own - 1));
      }
      for (int j = 0; j < t; j++) {
        queryRows[i * t + j] = sequences.tokens().start(sequence) + j;
        int row = (i * t + j) * length;
        int seen = sequences.firstPositions()[sequence] + j + 1;
        Arrays.fill(mask, row + seen, row + length, Float.NEGATIVE_INFINITY);
      }
    }
    boolean all = b == sequences.count();
    Tensor rows = lane.longs(keyRows);
    Tensor keys = keys(Rows.of(cachedKeys, rows), b, length);
    Tensor values = keys(Rows.of(cachedValues, rows), b, length);
    Tensor queries =
        (all ? q : Rows.of(q, lane.longs(queryRows)))
            .to(ScalarType.Float)
            .view(b, t, heads.keys(), heads.group(), heads.width())
            .permute(0, 2, 3, 1, 4)
            .reshape((long) b * heads.keys(), (long) heads.group() * t, heads.width());
    Tensor scores = queries.bmm(keys.transpose(1, 2)).mul_(new Scalar(heads.scale()));
    Tensor p =
        scores
            .view(b, heads.query(), t, length)
            .add_(lane.device().floats(mask, 0, mask.length).view(b, 1, t, length), Constants.ONE)
            .softmax(3)
            .view(scores.size(0), scores.size(1), length);
    Tensor result =
        p.bmm(values)
            .view(b, heads.keys(), heads.group(), t, heads.width())
            .permute(0, 3, 1, 2, 4)
            .reshape((long) b * t, (long) heads.query() * heads.width());
    if (all) {
      out.copy_(result);
    } else {
      out.index_copy_(0, lane.longs(queryRows), result.to(Constants.typeOf(out)));
    }
  }

  /** Rows {@code [b · length, kvHeads · d]} as {@code [b · kvHeads, length, d]}, in float32. */
  private Tensor keys(Tensor rows, int b, int length) {
    return rows.to(ScalarType.Float)
        .view(b, length, heads.keys(), heads.width())
        .permute(0, 2, 1, 3)
        .reshape((long) b * heads.keys(), length, heads.width());
  }

  /** Row of a position in the tensors of the cache. */
  private int cacheRow(int sequence, int position) {
    int page = sequences.pages()[sequence][position / cache.pageTokens()];
    return page * cache.pageTokens() + position % cache.pageTokens();
  }

  /** Cache row of each new token, {@code [n]}. */
  private int[] newRows() {
    int[] rows = new int[sequences.tokens().tokens()];
    for (int i = 0; i < sequences.count(); i++) {
      for (int t = 0; t < sequences.tokens().length(i); t++) {
        rows[sequences.tokens().start(i) + t] = cacheRow(i, sequences.firstPositions()[i] + t);
      }
    }
    return rows;
  }
}
