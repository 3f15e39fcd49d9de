package io.millrace.model.torch;

import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.BackendFactory;
import io.millrace.model.tensor.Placement;
import io.millrace.model.torch.library.Libtorch;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

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
  public List<String> findings() {
    List<String> missing = Libtorch.missingLibraries();
    if (!missing.isEmpty()) {
      return List.of(
          "natives for CUDA; missing libraries: " + String.join(", ", missing),
          "install NVIDIA's driver, CUDA 13, cuDNN 9 and NCCL, and name their folders in"
              + " LD_LIBRARY_PATH");
    }
    List<String> findings = new ArrayList<>();
    int devices = Libtorch.cudaDevices();
    findings.add(
        "libtorch %s, natives for %s, CPU kernels with %s"
            .formatted(
                Libtorch.version(),
                Libtorch.isForCuda() ? "CUDA" : "the CPU",
                Libtorch.cpuCapability()));
    findings.add(
        "devices: cpu"
            + IntStream.range(0, devices).mapToObj(i -> ", cuda:" + i).collect(Collectors.joining())
            + "; auto is "
            + device(Placement.AUTO));
    findings.add("precision: float32, bfloat16");
    return findings;
  }

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
    if (wanted.equals("cpu") || (wanted.equals(Placement.AUTO) && devices == 0)) {
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
