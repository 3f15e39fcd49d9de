package io.millrace.model.torch;

import io.millrace.model.tensor.Precision;

/** Backends of these tests. {@code -Dmillrace.torch.device=cuda:0} runs them on a GPU. */
final class TestDevice {

  private static final String NAME = System.getProperty("millrace.torch.device", "cpu");

  private TestDevice() {}

  static TorchBackend backend(Precision precision, int threads) {
    return new TorchBackend(NAME, precision, threads);
  }

  /** With attention in matrix products. */
  static TorchBackend withoutFlashAttention() {
    return new TorchBackend(NAME, Precision.FLOAT32, 1, false);
  }
}
