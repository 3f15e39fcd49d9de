package io.millrace.cli.bench;

import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Tensor;

/** The highest speed of this machine at large matrix products, with the same backend. */
final class Peak {

  private static final int SIZE = 1024;
  private static final int REPEATS = 12;

  private Peak() {}

  /**
   * The best of some products [2048, 1024] × [1024, 1024], in floating-point operations a second.
   */
  static double flopsPerSecond(Backend backend) {
    try (Tensor x = backend.allocateActivation(2 * SIZE, SIZE);
        Tensor w = backend.allocate(SIZE, SIZE);
        Tensor out = backend.allocateActivation(2 * SIZE, SIZE)) {
      double best = 0;
      for (int i = 0; i < REPEATS; i++) {
        long start = System.nanoTime();
        backend.linear(out, x, w);
        double seconds = (System.nanoTime() - start) / 1e9;
        best = Math.max(best, 2.0 * 2 * SIZE * SIZE * SIZE / seconds);
      }
      return best;
    }
  }
}
