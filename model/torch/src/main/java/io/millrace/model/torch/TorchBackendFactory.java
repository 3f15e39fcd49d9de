package io.millrace.model.torch;

import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.BackendFactory;
import io.millrace.model.tensor.Placement;

/** Opens {@link TorchBackend}. */
public final class TorchBackendFactory implements BackendFactory {

  private static volatile int threads = Runtime.getRuntime().availableProcessors();

  @Override
  public String name() {
    return "torch";
  }

  @Override
  public void useThreads(int count) {
    threads = count;
  }

  /** Every device and precision; whether a machine has the device shows when it opens. */
  @Override
  public void require(Placement placement) {}

  @Override
  public Backend open() {
    return open(Placement.defaults());
  }

  @Override
  public Backend open(Placement placement) {
    return new TorchBackend(device(placement.device()), placement.precision(), threads);
  }

  private static String device(String wanted) {
    int devices = Libtorch.cudaDevices();
    if (wanted.equals("cpu") || wanted.equals(Placement.AUTO) && devices == 0) {
      return "cpu";
    }
    if (!Libtorch.isForCuda()) {
      throw new IllegalStateException(
          "compute.device is %s, but the natives of libtorch are those for the CPU; build with MILLRACE_TORCH=cuda ./millrace, or with ./mvnw -Ptorch-cuda"
              .formatted(wanted));
    }
    int index = wanted.startsWith("cuda:") ? Integer.parseInt(wanted.substring(5)) : 0;
    if (index >= devices) {
      throw new IllegalStateException(
          "compute.device is %s, but libtorch finds %d CUDA devices; see nvidia-smi and CUDA_VISIBLE_DEVICES"
              .formatted(wanted, devices));
    }
    return "cuda:" + index;
  }
}
