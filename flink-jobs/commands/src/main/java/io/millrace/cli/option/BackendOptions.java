package io.millrace.cli.option;

import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.BackendFactory;
import io.millrace.model.tensor.Backends;
import io.millrace.model.tensor.Placement;
import io.millrace.model.tensor.Precision;
import java.util.List;
import java.util.Locale;
import picocli.CommandLine.Option;

/** Where and how a command computes. */
public final class BackendOptions {

  @Option(
      names = "--backend",
      defaultValue = "cpu",
      description =
          "Compute backend: cpu, nd4j, or torch in builds with it (default: ${DEFAULT-VALUE}).")
  private String backend;

  @Option(
      names = "--device",
      defaultValue = Placement.AUTO,
      description = "Device of torch: auto, cpu, cuda or cuda:N (default: ${DEFAULT-VALUE}).")
  private String device;

  @Option(
      names = "--precision",
      defaultValue = "float32",
      description = "float32, or bfloat16 with torch (default: ${DEFAULT-VALUE}).")
  private String precision;

  @Option(
      names = "--threads",
      paramLabel = "N",
      description = "Threads that compute at once (default: all cores).")
  private Integer threads;

  /** Opens the backend with the wanted number of threads. */
  public Backend open() {
    BackendFactory factory;
    try {
      factory = Backends.named(backend);
    } catch (IllegalArgumentException e) {
      throw new UserException("--backend " + e.getMessage());
    }
    Placement placement;
    try {
      placement = new Placement(device, precision());
      factory.require(placement);
    } catch (IllegalArgumentException e) {
      throw new UserException("--" + e.getMessage());
    }
    if (threads != null) {
      factory.useThreads(ShapeOptions.require("--threads", threads));
    }
    try {
      return factory.open(placement);
    } catch (IllegalStateException e) {
      throw new UserException(e.getMessage());
    }
  }

  /** The precision by its name. */
  Precision precision() {
    for (Precision each : Precision.values()) {
      if (each.toString().equals(precision.toLowerCase(Locale.ROOT))) {
        return each;
      }
    }
    throw new IllegalArgumentException(
        "precision must be float32 or bfloat16, not '" + precision + "'");
  }

  /** The same as settings of a job. */
  List<String> settings() {
    return List.of(
        "compute.backend=" + backend,
        "compute.device=" + device,
        "compute.precision=" + precision(),
        "compute.threads=" + (threads == null ? 0 : ShapeOptions.require("--threads", threads)));
  }
}
