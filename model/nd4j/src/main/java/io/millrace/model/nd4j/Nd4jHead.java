package io.millrace.model.nd4j;

import java.util.Arrays;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.ops.transforms.Transforms;

/**
 * Log-probabilities and entropies of softmax(x · headᵀ / temperature), for a chunk of rows at a
 * time. The logits of all rows never exist at the same time.
 *
 * <p>Let z be the logits minus the largest of their row, S = Σ exp(z) and p = exp(z) / S. Then log
 * p = z − log S, and the entropy is log S − Σ p · z. Both are finite for finite logits.
 */
final class Nd4jHead {

  /** Maximum logits of a chunk, in floats. */
  private static final int LOGITS_AT_ONCE = 1 << 22;

  private final INDArray x;
  private final INDArray head;
  private final int[] targets;
  private final double scale;
  private final int vocab;

  Nd4jHead(INDArray x, INDArray head, int[] targets, float temperature) {
    this.x = x;
    this.head = head;
    this.targets = targets;
    this.scale = 1.0 / temperature;
    this.vocab = head.rows();
  }

  void forward(float[] logProbs, float[] entropies) {
    forEachChunk(
        (from, count, scratch) -> {
          INDArray z = shiftedLogits(scratch, from, count);
          INDArray atTargets =
              Ops.gather(scratch, elements(z), targetElements(scratch, from, count));
          INDArray exp = scratch.own(Transforms.exp(z, true));
          INDArray sum = scratch.own(exp.sum(true, 1));
          INDArray logSum = scratch.own(Transforms.log(sum, true));
          copyOut(atTargets.subi(logSum), logProbs, from, count);
          INDArray mean = scratch.own(exp.muli(z).sum(true, 1)).divi(sum);
          copyOut(logSum.subi(mean), entropies, from, count);
        });
  }

  /** Backward pass: adds to dx and dhead. */
  void backward(INDArray dx, INDArray dhead, float[] dLogProbs, float[] dEntropies) {
    forEachChunk(
        (from, count, scratch) -> {
          INDArray z = shiftedLogits(scratch, from, count);
          INDArray p = scratch.own(Transforms.exp(z, true));
          INDArray sum = scratch.own(p.sum(true, 1));
          Ops.multiply(p, p, scratch.own(sum.rdiv(1)));
          INDArray dLogProb = column(scratch, dLogProbs, from, count);

          // d log p_t gives (1{t} − p) · dLogProb. The entropy H gives −p · (log p + H) · dEntropy,
          // where log p + H = z − Σ p · z.
          INDArray dLogits;
          if (allZero(dEntropies, from, count)) {
            Ops.multiply(p, p, scratch.own(dLogProb.neg()));
            dLogits = p;
          } else {
            INDArray mean = scratch.own(scratch.own(p.mul(z)).sum(true, 1));
            Ops.subtract(z, z, mean);
            Ops.multiply(z, z, column(scratch, dEntropies, from, count).negi());
            Ops.subtract(z, z, dLogProb);
            dLogits = z.muli(p);
          }
          Ops.scatterAdd(elements(dLogits), targetElements(scratch, from, count), dLogProb);
          Ops.matmul(rows(dx, from, count), dLogits, false, head, false, scale, 1);
          if (dhead != null) {
            Ops.matmul(dhead, dLogits, true, rows(x, from, count), false, scale, 1);
          }
        });
  }

  /** z of some rows, {@code [count, vocab]}. */
  private INDArray shiftedLogits(Scratch scratch, int from, int count) {
    INDArray logits = scratch.floats(count, vocab);
    Ops.matmul(logits, rows(x, from, count), false, head, true, scale, 0);
    Ops.subtract(logits, logits, scratch.own(logits.max(true, 1)));
    return logits;
  }

  /** All elements of a matrix as one column. */
  private static INDArray elements(INDArray matrix) {
    return matrix.reshape('c', matrix.length(), 1);
  }

  /** Index of each row's target among the elements of {@code [count, vocab]}. */
  private INDArray targetElements(Scratch scratch, int from, int count) {
    int[] elements = new int[count];
    for (int i = 0; i < count; i++) {
      elements[i] = i * vocab + targets[from + i];
    }
    return scratch.ints(elements);
  }

  private static INDArray rows(INDArray matrix, int from, int count) {
    return count == matrix.rows() ? matrix : Nd4jTensor.rows(matrix, from, count);
  }

  private static boolean allZero(float[] values, int from, int count) {
    for (int i = from; i < from + count; i++) {
      if (values[i] != 0) {
        return false;
      }
    }
    return true;
  }

  private static INDArray column(Scratch scratch, float[] values, int from, int count) {
    return scratch
        .own(Nd4j.createFromArray(Arrays.copyOfRange(values, from, from + count)))
        .reshape('c', count, 1);
  }

  private static void copyOut(INDArray column, float[] target, int from, int count) {
    System.arraycopy(column.data().asFloat(), 0, target, from, count);
  }

  private interface Chunk {
    void compute(int from, int count, Scratch scratch);
  }

  private void forEachChunk(Chunk chunk) {
    int atOnce = Math.max(1, LOGITS_AT_ONCE / vocab);
    for (int from = 0; from < targets.length; from += atOnce) {
      try (Scratch scratch = new Scratch()) {
        chunk.compute(from, Math.min(atOnce, targets.length - from), scratch);
      }
    }
  }
}
