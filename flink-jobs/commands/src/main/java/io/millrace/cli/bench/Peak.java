package io.millrace.cli.bench;

import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Tensor;
import java.util.Arrays;
import java.util.SplittableRandom;

/**
 * The highest speeds of this machine with the same backend: at large matrix products and at copies.
 * Every measured time ends with a read of one result, since a GPU runs behind its caller.
 */
final class Peak {

  private static final int SIZE = 1024;
  private static final int LARGEST_SIZE = 8192;
  private static final int REPEATS = 12;

  /** A shorter product measures the start of a kernel, on a device that is fast enough. */
  private static final double SECONDS_OF_A_PRODUCT = 2e-3;

  private static final int COPIED = 1 << 26;
  private static final int COPIES = 8;

  private Peak() {}

  /**
   * The best of some products [2n, n] × [n, n] of random numbers, in floating-point operations a
   * second. n is 1,024, and on fast devices larger, up to 8,192.
   */
  static double flopsPerSecond(Backend backend) {
    double best = 0;
    for (int size = SIZE; ; size *= 2) {
      double seconds = product(backend, size);
      best = Math.max(best, 2.0 * 2 * size * size * size / seconds);
      if (seconds >= SECONDS_OF_A_PRODUCT || size >= LARGEST_SIZE) {
        return best;
      }
    }
  }

  private static double product(Backend backend, int size) {
    try (Tensor x = backend.allocateActivation(2 * size, size);
        Tensor w = backend.allocate(size, size);
        Tensor out = backend.allocateActivation(2 * size, size)) {
      // A GPU multiplies zeros faster than other numbers.
      randomize(x, 1);
      randomize(w, 1);
      double best = Double.POSITIVE_INFINITY;
      for (int i = 0; i < REPEATS; i++) {
        long start = System.nanoTime();
        backend.linear(out, x, w);
        await(out);
        best = Math.min(best, (System.nanoTime() - start) / 1e9);
      }
      return best;
    }
  }

  /** The best rate at which large copies read and write memory, in bytes a second. */
  static double bytesPerSecond(Backend backend) {
    try (Tensor source = backend.allocate(COPIED);
        Tensor target = backend.allocate(COPIED)) {
      double best = 0;
      for (int i = 0; i < REPEATS / 2; i++) {
        long start = System.nanoTime();
        for (int copy = 0; copy < COPIES; copy++) {
          backend.copy(target, source);
        }
        await(target);
        double seconds = (System.nanoTime() - start) / 1e9;
        best = Math.max(best, 2.0 * COPIES * COPIED * Float.BYTES / seconds);
      }
      return best;
    }
  }

  /** Waits until the device has computed a tensor. */
  static void await(Tensor tensor) {
    tensor.read(0, new float[1], 0, 1);
  }

  /** Fills a tensor with one number. */
  static void fill(Tensor tensor, float value) {
    float[] values = new float[Math.toIntExact(tensor.size())];
    Arrays.fill(values, value);
    tensor.write(values);
  }

  /** Fills a tensor with a block of normally distributed numbers, again and again. */
  static void randomize(Tensor tensor, double deviation) {
    SplittableRandom random = new SplittableRandom(1);
    float[] block = new float[(int) Math.min(1 << 20, tensor.size())];
    for (int i = 0; i < block.length; i++) {
      block[i] = (float) (deviation * random.nextGaussian());
    }
    for (long at = 0; at < tensor.size(); at += block.length) {
      tensor.write(at, block, 0, (int) Math.min(block.length, tensor.size() - at));
    }
  }
}
