package io.millrace.model.torch.library;

import io.millrace.model.tensor.Rope;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

/**
 * Cosines and sines of a rotary embedding at the positions from 0, {@code [positions, d / 2]}, on
 * the device. They are computed in float64 on the host.
 */
public record RopeTable(int positions, Tensor cos, Tensor sin) implements AutoCloseable {

  private static final int FIRST = 128;

  /** The known table if it is long enough, else a longer one in its place. */
  public static RopeTable covering(TorchDevice device, RopeTable known, Rope rope, int needed) {
    if (known != null && known.positions >= needed) {
      return known;
    }
    int positions = FIRST;
    while (positions < needed) {
      positions *= 2;
    }
    if (known != null) {
      known.close();
    }
    double[] frequencies = rope.inverseFrequencies();
    float[] cos = new float[positions * frequencies.length];
    float[] sin = new float[cos.length];
    for (int i = 0; i < cos.length; i++) {
      int position = i / frequencies.length;
      double angle = position * frequencies[i % frequencies.length];
      cos[i] = (float) Math.cos(angle);
      sin[i] = (float) Math.sin(angle);
    }
    try (PointerScope _ = new PointerScope()) {
      long[] shape = {positions, frequencies.length};
      return new RopeTable(
          positions,
          device.floats(cos, 0, cos.length).view(shape).retainReference(),
          device.floats(sin, 0, sin.length).view(shape).retainReference());
    }
  }

  @Override
  public void close() {
    cos.deallocate();
    sin.deallocate();
  }
}
