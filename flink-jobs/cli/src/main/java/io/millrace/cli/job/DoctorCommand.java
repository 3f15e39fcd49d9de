package io.millrace.cli.job;

import io.millrace.cli.option.UserException;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.BackendFactory;
import io.millrace.model.tensor.Backends;
import io.millrace.model.tensor.Tensor;
import io.millrace.schemas.PlainFiles;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import org.apache.flink.runtime.util.EnvironmentInformation;
import org.apache.kafka.common.utils.AppInfoParser;
import picocli.CommandLine.Command;

/** {@code millrace doctor}. */
@Command(
    name = "doctor",
    mixinStandardHelpOptions = true,
    description =
        "Prints the JDK, CPU, GPU and library versions of this machine, and tests the backend.",
    footer = {"", "Example:", "  millrace doctor"})
public final class DoctorCommand implements Callable<Integer> {

  private static final Set<String> VECTORS =
      Set.of(
          "sse4_2",
          "avx",
          "avx2",
          "fma",
          "f16c",
          "avx512f",
          "avx512_bf16",
          "amx_tile",
          "asimd",
          "sve");

  @Override
  public Integer call() throws Exception {
    Runtime runtime = Runtime.getRuntime();
    row("Java", System.getProperty("java.vm.version") + ", " + System.getProperty("java.home"));
    row(
        "System",
        "%s %s, %d cores, heap up to %d MiB"
            .formatted(
                System.getProperty("os.name"),
                System.getProperty("os.arch"),
                runtime.availableProcessors(),
                runtime.maxMemory() >> 20));
    row("CPU vectors", vectors());
    row("GPU", gpu());
    row("Flink", EnvironmentInformation.getVersion());
    row("Kafka clients", AppInfoParser.getVersion());
    row("Compute", compute());
    rowsOfTorch();
    return 0;
  }

  private static void row(String name, String value) {
    System.out.printf("%-14s %s%n", name, value);
  }

  private static String vectors() throws IOException {
    Path info = Path.of("/proc/cpuinfo");
    if (!Files.isReadable(info)) {
      return "unknown on this system";
    }
    Set<String> found = new TreeSet<>();
    for (String line : PlainFiles.readText(info, 16 << 20).split("\n")) {
      if (line.startsWith("flags") || line.startsWith("Features")) {
        for (String flag : line.split("[\\s:]+")) {
          if (VECTORS.contains(flag)) {
            found.add(flag);
          }
        }
      }
    }
    return String.join(" ", found);
  }

  private static String gpu() throws IOException {
    Path gpus = Path.of("/proc/driver/nvidia/gpus");
    if (!Files.isDirectory(gpus)) {
      return "no NVIDIA driver";
    }
    try (var list = Files.list(gpus)) {
      return list.count() + " NVIDIA";
    }
  }

  /** What the optional backend finds, or how to get it. */
  private static void rowsOfTorch() {
    BackendFactory torch;
    try {
      torch = Backends.named("torch");
    } catch (IllegalArgumentException e) {
      row("Backend torch", "not in this build: " + e.getMessage().replaceFirst("^.*?: ", ""));
      return;
    }
    String name = "Backend torch";
    for (String finding : torch.findings()) {
      row(name, finding);
      name = "";
    }
  }

  /** Computes one product, which also loads the backend's native code. */
  private static String compute() {
    try (Backend backend = Backends.openDefault()) {
      Tensor x = backend.allocate(1, 2);
      Tensor w = backend.allocate(1, 2);
      Tensor out = backend.allocate(1, 1);
      x.write(2, 3);
      w.write(5, 7);
      backend.linear(out, x, w);
      float product = out.toFloats()[0];
      if (product != 31) {
        throw new UserException(
            "backend "
                + backend.name()
                + " computes 2·5 + 3·7 as "
                + product
                + ", not 31: do not use it here");
      }
      return "backend %s works, with kernels of %s".formatted(backend.name(), backend.kernels());
    }
  }
}
