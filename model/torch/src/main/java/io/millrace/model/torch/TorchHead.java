package io.millrace.model.torch;

import io.millrace.model.torch.library.Lane;
import io.millrace.model.torch.library.Lane.Scratch;
import io.millrace.model.torch.library.TorchTensor;
import java.util.Arrays;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Log-probabilities and entropies of softmax(x · headᵀ / temperature), for a chunk of rows at a
 * time. The logits of all rows never exist at the same time. Logits are float32.
 */
final class TorchHead {

  /** Maximum logits of a chunk on the CPU, where a chunk should stay in a cache. */
  private static final int LOGITS_ON_CPU = 1 << 20;

  /** Maximum logits of a chunk elsewhere: enough rows to fill a GPU. */
  private static final int LOGITS = 1 << 26;

  private final Lane lane;
  private final TorchTensor x;
  private final TorchTensor head;
  private final int[] targets;
  private final double scale;
  private final int vocab;

  TorchHead(Lane lane, TorchTensor x, TorchTensor head, int[] targets, float temperature) {
    this.lane = lane;
    this.x = x;
    this.head = head;
    this.targets = targets;
    this.scale = 1.0 / temperature;
    this.vocab = head.rows();
  }

  void forward(float[] logProbs, float[] entropies) {
    forEachChunk(
        (from, count, index) -> {
          Tensor logP = logProbabilities(from, count);
          lane.device().read(logP.gather(1, index), logProbs, from, count);
          lane.device().read(entropies(logP, count).neg_(), entropies, from, count);
        });
  }

  /** −H of every row, {@code [count, 1]}; leaves p in the scratch memory {@code SECOND}. */
  private Tensor entropies(Tensor logP, int count) {
    Tensor p = torch.exp_out(scratch(Scratch.SECOND, count), logP);
    // Row by row p · log p: a batch of dot products, without a [count, vocab] temporary.
    return p.view(count, 1, vocab).bmm(logP.view(count, vocab, 1)).view(count, 1);
  }

  /** Adds to dx, and to dhead unless it is null. */
  void backward(TorchTensor dx, TorchTensor dhead, float[] dLogProbs, float[] dEntropies) {
    Scalar factor = new Scalar(scale);
    forEachChunk(
        (from, count, index) -> {
          Tensor logP = logProbabilities(from, count);
          Tensor dLogProb = lane.device().floats(dLogProbs, from, count).view(count, 1);
          // d log p_t gives (1{t} − p) · dLogProb. The entropy H gives −p · (log p + H) · dEntropy.
          Tensor dz;
          if (allZero(dEntropies, from, count)) {
            dz = torch.exp_out(scratch(Scratch.SECOND, count), logP).mul_(dLogProb.neg());
          } else {
            Tensor negativeH = entropies(logP, count);
            Tensor dEntropy = lane.device().floats(dEntropies, from, count).view(count, 1);
            Tensor p = scratch(Scratch.SECOND, count);
            // dz = p ∘ (−dEntropy · log p + constant), and dLogProb more at the target.
            Tensor constant = dEntropy.mul(negativeH).sub_(dLogProb);
            dz = logP.mul_(dEntropy.neg()).add_(constant).mul_(p);
          }
          dz.scatter_add_(1, index, dLogProb);
          Tensor rows = x.matrix().narrow(0, from, count);
          Tensor dzAs =
              x.type() == ScalarType.Float
                  ? dz
                  : lane.scratch(Scratch.THIRD, x.type(), count, vocab).copy_(dz);
          Products.addProduct(
              lane,
              dx.writtenMatrix().narrow(0, from, count),
              dzAs,
              head.matrixAs(x.type()),
              factor);
          if (dhead != null) {
            Products.addProduct(lane, dhead.writtenMatrix(), dzAs.t(), rows, factor);
          }
        });
  }

  /** log p of some rows, {@code [count, vocab]}, in scratch memory other than {@code SECOND}. */
  private Tensor logProbabilities(int from, int count) {
    Tensor logits = scratch(Scratch.FIRST, count);
    Tensor rows = x.matrix().narrow(0, from, count);
    if (x.type() == ScalarType.Float) {
      torch.mm_out(logits, rows, head.matrix().t());
    } else if (lane.device().isCuda()) {
      torch.mm_out(logits, rows, head.matrixAs(x.type()).t(), ScalarType.Float);
    } else {
      torch.mm_out(logits, rows.to(ScalarType.Float), head.matrixAs(ScalarType.Float).t());
    }
    if (scale != 1) {
      logits.mul_(new Scalar(scale));
    }
    // In place only where that was tested.
    Tensor result = lane.device().isCpu() ? logits : scratch(Scratch.THIRD, count);
    return torch.log_softmax_out(result, logits, 1);
  }

  private Tensor scratch(Scratch name, int count) {
    return lane.scratch(name, ScalarType.Float, count, vocab);
  }

  private static boolean allZero(float[] values, int from, int count) {
    for (int i = from; i < from + count; i++) {
      if (values[i] != 0) {
        return false;
      }
    }
    return true;
  }

  private interface Chunk {
    void compute(int from, int count, Tensor targets);
  }

  private void forEachChunk(Chunk chunk) {
    int logits = lane.device().isCpu() ? LOGITS_ON_CPU : LOGITS;
    int atOnce = Math.max(1, logits / vocab);
    for (int from = 0; from < targets.length; from += atOnce) {
      int count = Math.min(atOnce, targets.length - from);
      try (PointerScope _ = new PointerScope()) {
        Tensor index = lane.longs(Arrays.copyOfRange(targets, from, from + count));
        chunk.compute(from, count, index.view(count, 1));
      }
    }
  }
}
