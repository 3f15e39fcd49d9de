package io.millrace.model.tensor.nd4j;

import io.millrace.model.tensor.Sequences;
import java.util.Arrays;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/**
 * Causal grouped-query attention in batched ND4J operations.
 *
 * <p>Inside, sequences are padded to the longest, since one batched operation costs less here than
 * many small ones: rows are gathered to [sequences · time], attended, and gathered back. Padding is
 * at the end, so that the causal mask alone keeps it from every real token; in the backward pass
 * its gradient is zero.
 *
 * <p>B is the number of sequences, T the longest length, G = heads / kvHeads, d = headDim.
 */
final class Nd4jAttention {

  private static final float MASKED = -1e30f;

  private final Sequences sequences;
  private final int batch;
  private final int time;
  private final int heads;
  private final int kvHeads;
  private final int headDim;
  private final Scratch scratch;
  private final INDArray toPadded;
  private final INDArray toPacked;

  Nd4jAttention(Sequences sequences, int heads, int kvHeads, int headDim, Scratch scratch) {
    this.sequences = sequences;
    this.batch = sequences.count();
    this.time = sequences.maxLength();
    this.heads = heads;
    this.kvHeads = kvHeads;
    this.headDim = headDim;
    this.scratch = scratch;
    int[] padded = new int[batch * time];
    int[] packed = new int[sequences.tokens()];
    for (int b = 0; b < batch; b++) {
      for (int t = 0; t < time; t++) {
        // A padded row repeats the sequence's last token: finite, and never read.
        int row = sequences.start(b) + Math.min(t, sequences.length(b) - 1);
        padded[b * time + t] = row;
        if (t < sequences.length(b)) {
          packed[row] = b * time + t;
        }
      }
    }
    this.toPadded = scratch.ints(padded);
    this.toPacked = scratch.ints(packed);
  }

  /** softmax(q·kᵀ/√d)·v over each sequence; the result is packed, [tokens, heads·d]. */
  INDArray forward(INDArray q, INDArray k, INDArray v) {
    INDArray probabilities = probabilities(split(q, heads), split(k, kvHeads));
    INDArray out = Ops.matmul(scratch, probabilities, false, split(v, kvHeads), false);
    return join(out, heads);
  }

  /** Adds to dq, dk, dv, recomputing the probabilities. */
  void backward(
      INDArray dq, INDArray dk, INDArray dv, INDArray dout, INDArray q, INDArray k, INDArray v) {
    INDArray queries = split(q, heads);
    INDArray keys = split(k, kvHeads);
    INDArray values = split(v, kvHeads);
    INDArray p = probabilities(queries, keys);
    INDArray dOut = splitGradient(dout, heads);

    // out = p·v
    dv.addi(join(Ops.matmul(scratch, p, true, dOut, false), kvHeads));
    INDArray dp = Ops.matmul(scratch, dOut, false, values, true);

    // p = softmax(s): ds = p ∘ (dp − Σ_j dp_j·p_j)
    INDArray weighted = scratch.own(dp.mul(p));
    INDArray sums = scratch.own(weighted.sum(true, 2));
    INDArray ds = dp.subi(sums).muli(p).muli(scale());

    // s = q·kᵀ/√d
    dq.addi(join(Ops.matmul(scratch, ds, false, keys, false), heads));
    dk.addi(join(Ops.matmul(scratch, ds, true, queries, false), kvHeads));
  }

  /** [B·kvHeads, G·T, T]. */
  private INDArray probabilities(INDArray queries, INDArray keys) {
    INDArray scores = Ops.matmul(scratch, queries, false, keys, true);
    scores.muli(scale());
    INDArray byGroup = scores.reshape('c', (long) batch * kvHeads * (heads / kvHeads), time, time);
    byGroup.addi(causalMask());
    Ops.softmax(scores);
    return scores;
  }

  private double scale() {
    return 1 / Math.sqrt(headDim);
  }

  private INDArray causalMask() {
    float[] mask = new float[time * time];
    for (int i = 0; i < time; i++) {
      for (int j = i + 1; j < time; j++) {
        mask[i * time + j] = MASKED;
      }
    }
    return scratch.own(Nd4j.createFromArray(mask)).reshape('c', 1, time, time);
  }

  /** Packed [tokens, n·d] to padded [B·kvHeads, (n / kvHeads)·T, d]; padding repeats a row. */
  private INDArray split(INDArray packed, int n) {
    return byHead(Ops.gather(scratch, packed, toPadded), n);
  }

  /** The same for a gradient, whose padding must be zero. */
  private INDArray splitGradient(INDArray packed, int n) {
    INDArray padded = Ops.gather(scratch, packed, toPadded);
    if (sequences.tokens() < batch * time) {
      float[] real = new float[batch * time];
      for (int b = 0; b < batch; b++) {
        Arrays.fill(real, b * time, b * time + sequences.length(b), 1);
      }
      padded.muliColumnVector(scratch.own(Nd4j.createFromArray(real)));
    }
    return byHead(padded, n);
  }

  private INDArray byHead(INDArray padded, int n) {
    return scratch
        .own(padded.reshape('c', batch, time, n, headDim).permute(0, 2, 1, 3).dup('c'))
        .reshape('c', (long) batch * kvHeads, (long) n / kvHeads * time, headDim);
  }

  /** The way back of {@link #split}. */
  private INDArray join(INDArray padded, int n) {
    INDArray rows =
        scratch
            .own(padded.reshape('c', batch, n, time, headDim).permute(0, 2, 1, 3).dup('c'))
            .reshape('c', (long) batch * time, (long) n * headDim);
    return Ops.gather(scratch, rows, toPacked);
  }
}
