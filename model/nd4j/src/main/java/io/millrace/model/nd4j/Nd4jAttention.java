package io.millrace.model.nd4j;

import io.millrace.model.tensor.Queries;
import java.util.Arrays;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/**
 * Causal grouped-query attention in batched ND4J operations, over padded groups of sequences.
 * Padding is at the end of a sequence, so the causal mask hides it from all real tokens. In the
 * backward pass the gradient of padding is 0.
 *
 * <p>In shapes of a group, B is the number of sequences, T the longest length, G = heads / kvHeads
 * and d = headDim.
 */
final class Nd4jAttention {

  private static final float MASKED = -1e30f;

  private final Padding padding;
  private final Queries queries;

  /** For each token its query, or the query before it, or 0; null if all tokens attend. */
  private final INDArray queryOfToken;

  /**
   * 1 for a token that attends and 0 for another, {@code [tokens, 1]}; null if all tokens attend.
   */
  private final INDArray attends;

  private final int heads;
  private final int kvHeads;
  private final int headDim;
  private final Scratch scratch;

  Nd4jAttention(Queries queries, int heads, int kvHeads, int headDim, Scratch scratch) {
    this.padding = new Padding(queries.sequences(), scratch);
    this.queries = queries;
    this.heads = heads;
    this.kvHeads = kvHeads;
    this.headDim = headDim;
    this.scratch = scratch;
    if (queries.areAll()) {
      this.queryOfToken = null;
      this.attends = null;
    } else {
      int[] rows = queries.rows();
      int[] query = new int[queries.sequences().tokens()];
      float[] attends = new float[query.length];
      for (int i = 0; i < rows.length; i++) {
        Arrays.fill(query, rows[i], query.length, i);
        attends[rows[i]] = 1;
      }
      this.queryOfToken = scratch.ints(query);
      this.attends = scratch.own(Nd4j.createFromArray(attends)).reshape('c', attends.length, 1);
    }
  }

  /** {@code out [m, heads · d] = softmax(q · kᵀ / √d) · v} in each sequence. */
  void forward(INDArray out, INDArray q, INDArray k, INDArray v) {
    INDArray paddedQ = padding.pad(ofTokens(q));
    INDArray paddedK = padding.pad(k);
    INDArray paddedV = padding.pad(v);
    INDArray paddedOut = scratch.floats(padding.rows(), (long) heads * headDim);
    for (Padding.Group group : padding.groups()) {
      INDArray p =
          probabilities(group, split(group, paddedQ, heads), split(group, paddedK, kvHeads));
      INDArray values = split(group, paddedV, kvHeads);
      join(group, paddedOut, Ops.matmul(scratch, p, false, values, false), heads);
    }
    if (queries.areAll()) {
      padding.unpad(out, paddedOut);
    } else {
      Ops.gather(out, padding.unpad(paddedOut), scratch.ints(queries.rows()));
    }
  }

  /** Backward pass: overwrites dq, dk and dv. Computes the probabilities again. */
  void backward(
      INDArray dq, INDArray dk, INDArray dv, INDArray dout, INDArray q, INDArray k, INDArray v) {
    INDArray paddedQ = padding.pad(ofTokens(q));
    INDArray paddedK = padding.pad(k);
    INDArray paddedV = padding.pad(v);
    INDArray paddedDout = padding.padGradient(ofTokensOrZero(dout));
    INDArray paddedDq = scratch.floats(padding.rows(), (long) heads * headDim);
    INDArray paddedDk = scratch.floats(padding.rows(), (long) kvHeads * headDim);
    INDArray paddedDv = scratch.floats(padding.rows(), (long) kvHeads * headDim);
    for (Padding.Group group : padding.groups()) {
      INDArray queries = split(group, paddedQ, heads);
      INDArray keys = split(group, paddedK, kvHeads);
      INDArray p = probabilities(group, queries, keys);
      INDArray dOut = split(group, paddedDout, heads);

      // out = p · v
      join(group, paddedDv, Ops.matmul(scratch, p, true, dOut, false), kvHeads);
      INDArray dp = Ops.matmul(scratch, dOut, false, split(group, paddedV, kvHeads), true);

      // p = softmax(s), so ds = p ∘ (dp − Σ_keys p ∘ dp)
      INDArray sums = scratch.own(scratch.own(dp.mul(p)).sum(true, 2));
      Ops.subtract(dp, dp, sums);
      INDArray ds = dp.muli(p).muli(scale());

      // s = q · kᵀ / √d
      join(group, paddedDq, Ops.matmul(scratch, ds, false, keys, false), heads);
      join(group, paddedDk, Ops.matmul(scratch, ds, true, queries, false), kvHeads);
    }
    INDArray dqOfTokens = padding.unpad(paddedDq);
    dq.assign(
        queries.areAll()
            ? dqOfTokens
            : Ops.gather(scratch, dqOfTokens, scratch.ints(queries.rows())));
    padding.unpad(dk, paddedDk);
    padding.unpad(dv, paddedDv);
  }

  /**
   * Rows of queries as rows of tokens. A token that does not attend gets the row of another token,
   * which is never read.
   */
  private INDArray ofTokens(INDArray rows) {
    return queries.areAll() ? rows : Ops.gather(scratch, rows, queryOfToken);
  }

  /** As {@link #ofTokens}, for a gradient: 0 for a token that does not attend. */
  private INDArray ofTokensOrZero(INDArray rows) {
    if (queries.areAll()) {
      return rows;
    }
    INDArray ofTokens = ofTokens(rows);
    Ops.multiply(ofTokens, ofTokens, attends);
    return ofTokens;
  }

  /** softmax(q · kᵀ / √d) with the causal mask, {@code [B · kvHeads, G · T, T]}. */
  private INDArray probabilities(Padding.Group group, INDArray queries, INDArray keys) {
    INDArray scores = Ops.matmul(scratch, queries, false, keys, true);
    scores.muli(scale());
    int time = group.time();
    if (time > 1) {
      scores
          .reshape('c', (long) group.batch() * heads, (long) time * time)
          .addiRowVector(causalMask(time));
    }
    Ops.softmax(scores);
    return scores;
  }

  private double scale() {
    return 1 / Math.sqrt(headDim);
  }

  /**
   * {@code [T · T]}: 0 for a key that a query may attend to, and a large negative number for a
   * later key.
   */
  private INDArray causalMask(int time) {
    float[] mask = new float[time * time];
    for (int i = 0; i < time; i++) {
      for (int j = i + 1; j < time; j++) {
        mask[i * time + j] = MASKED;
      }
    }
    return scratch.own(Nd4j.createFromArray(mask));
  }

  /**
   * The rows of a group {@code [B · T, n · d]}, by key head: {@code [B · kvHeads, (n / kvHeads) ·
   * T, d]}.
   */
  private INDArray split(Padding.Group group, INDArray padded, int n) {
    return scratch
        .own(
            group
                .of(padded)
                .reshape('c', group.batch(), group.time(), n, headDim)
                .permute(0, 2, 1, 3)
                .dup('c'))
        .reshape('c', (long) group.batch() * kvHeads, (long) n / kvHeads * group.time(), headDim);
  }

  /** The inverse of {@link #split}, into the rows of the group. */
  private void join(Padding.Group group, INDArray padded, INDArray byHead, int n) {
    group
        .of(padded)
        .reshape('c', group.batch(), group.time(), n, headDim)
        .assign(byHead.reshape('c', group.batch(), n, group.time(), headDim).permute(0, 2, 1, 3));
  }
}
