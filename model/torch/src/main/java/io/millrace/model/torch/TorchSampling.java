package io.millrace.model.torch;

import io.millrace.model.tensor.Draws;
import io.millrace.model.torch.library.Constants;
import io.millrace.model.torch.library.TorchDevice;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.Context;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.T_TensorTensor_T;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** Draws tokens on the device, in float64: only tokens and their log-probabilities leave it. */
final class TorchSampling {

  private static final long[] COLUMNS = {1};

  private final TorchDevice device;

  TorchSampling(TorchDevice device) {
    this.device = device;
  }

  void draw(int[] tokens, float[] logProbs, Tensor logits, Draws draws) {
    int n = tokens.length;
    double[] scales = new double[n];
    boolean greedy = true;
    boolean nucleus = false;
    for (int i = 0; i < n; i++) {
      double temperature = draws.temperatures()[i];
      scales[i] = temperature == 0 ? 1 : 1 / temperature;
      greedy &= temperature == 0;
      nucleus |= temperature != 0 && draws.topPs()[i] < 1;
    }
    Tensor logP =
        logits.to(ScalarType.Double).mul_(device.doubles(scales).view(n, 1)).log_softmax(1);
    Tensor chosen = greedy ? best(logits) : inverted(logP, draws, nucleus);
    if (!greedy) {
      chosen = withGreedyRows(chosen, logits, draws);
    }
    device.read(chosen, tokens);
    device.read(logP.gather(1, chosen.view(n, 1)), logProbs, 0, n);
  }

  /** The first of the highest logits of each row, {@code [n]}. */
  private static Tensor best(Tensor logits) {
    return logits.argmax(new LongOptional(1), false);
  }

  private Tensor withGreedyRows(Tensor drawn, Tensor logits, Draws draws) {
    int[] greedy = new int[draws.count()];
    boolean any = false;
    for (int i = 0; i < greedy.length; i++) {
      greedy[i] = draws.temperatures()[i] == 0 ? 1 : 0;
      any |= greedy[i] == 1;
    }
    return any ? torch.where(device.longs(greedy).ne(Constants.ZERO), best(logits), drawn) : drawn;
  }

  /** The token whose interval of the cumulative distribution contains the uniform number. */
  private Tensor inverted(Tensor logP, Draws draws, boolean nucleus) {
    int n = draws.count();
    Tensor p = logP.exp();
    if (nucleus) {
      double[] masses = new double[n];
      for (int i = 0; i < n; i++) {
        masses[i] = draws.topPs()[i] == 1 ? Double.POSITIVE_INFINITY : draws.topPs()[i];
      }
      keepNucleus(p, device.doubles(masses).view(n, 1));
    }
    Tensor cumulative = cumulative(p);
    Tensor last = cumulative.narrow(1, p.size(1) - 1, 1);
    Tensor target = device.doubles(draws.uniforms()).view(n, 1).mul_(last);
    // Rounding can leave the target at the end: the last token with a probability is taken then.
    Tensor first = cumulative.le(target).sum(COLUMNS, false, Constants.LONG);
    Tensor end = cumulative.lt(last).sum(COLUMNS, false, Constants.LONG);
    return torch.minimum(first, end);
  }

  /**
   * Sets the probabilities outside the nucleus to 0. A token belongs to it while the more probable
   * ones hold less than the mass; among equals the lower ids come first.
   */
  private void keepNucleus(Tensor p, Tensor mass) {
    T_TensorTensor_T sorted = p.sort(new BoolOptional(true), 1, true);
    Tensor before = cumulative(sorted.get0()).sub_(sorted.get0());
    Tensor kept = sorted.get0().masked_fill(before.ge(mass), Constants.ZERO);
    p.scatter_(1, sorted.get1(), kept);
  }

  /** Sums of the first elements of each row, in float64. */
  private Tensor cumulative(Tensor p) {
    if (device.isCpu()) {
      return p.cumsum(1, Constants.DOUBLE);
    }
    // libtorch refuses cumsum on CUDA in deterministic mode, for all shapes. Along rows it scans
    // each row in a fixed order.
    Context context = torch.globalContext();
    context.setDeterministicAlgorithms(false, false);
    try {
      return p.cumsum(1, Constants.DOUBLE);
    } finally {
      context.setDeterministicAlgorithms(true, false);
    }
  }
}
