package io.millrace.jobs.config;

import io.millrace.model.llama.ActivationMemory;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.BackendFactory;
import io.millrace.model.tensor.Backends;
import io.millrace.model.tensor.Placement;
import io.millrace.model.tensor.Precision;
import io.millrace.schemas.state.CopyBudget;

/** The compute backend of a job, and the memory of its training passes. */
public record ComputeSection(
    @Option(
            value = "cpu",
            help =
                "Compute backend: `cpu`; `torch` for GPUs and large models, in builds with it; or"
                    + " `nd4j` for comparison.",
            required = true)
        String backend,
    @Option(
            value = "auto",
            help =
                "Where `torch` computes: `cpu`, `cuda`, or `cuda:N` for the device N. `auto` is the"
                    + " first CUDA device of the machine if there is one, else the CPU.",
            required = true)
        String device,
    @Option(
            value = "float32",
            help =
                "Numbers of activations and products: `float32`, or `bfloat16` with `torch`."
                    + " Weights, moments, sums of gradients, norms, losses and log-probabilities"
                    + " are float32 either way.")
        Precision precision,
    @Option(
            value = "0",
            help =
                "Threads that compute at once in a process, shared by all its task slots; 0 uses"
                    + " all cores. The first job of a process decides.",
            min = "0",
            max = "1024")
        int threads,
    @Option(
            value = "0",
            help =
                "Tokens of a micro-batch: a larger batch passes through the model in parts, and"
                    + " their gradients add up. 0 uses 512, or twice the hidden size if that is"
                    + " more.",
            min = "0",
            max = "1_048_576")
        int microBatchTokens,
    @Option(
            value = "false",
            help =
                "Keeps only the input of each layer for the backward pass and recomputes the other"
                    + " activations: far less memory, a third more arithmetic, the same gradients.")
        boolean recomputeActivations,
    @Option(
            value = "512",
            help =
                "Most mebibytes for copies of weights and moments on the device, for each training"
                    + " operator. A Flink checkpoint and a version are written from the copies"
                    + " while training goes on. Training waits for what does not fit; with 0 it"
                    + " always waits.",
            min = "0",
            max = "1_048_576")
        int copyMemoryMib)
    implements ConfigSection {

  public ComputeSection {
    factory(backend).require(new Placement(device, precision));
    Require.accepted(
        "micro-batch-tokens", () -> new ActivationMemory(microBatchTokens, recomputeActivations));
  }

  /** Opens a backend, for one thread at a time. */
  public Backend open() {
    BackendFactory factory = factory(backend);
    if (threads > 0) {
      factory.useThreads(threads);
    }
    return factory.open(new Placement(device, precision));
  }

  /** Memory settings of training passes. */
  public ActivationMemory memory() {
    return new ActivationMemory(microBatchTokens, recomputeActivations);
  }

  /** Memory for copies of one operator. */
  public CopyBudget copies() {
    return new CopyBudget((long) copyMemoryMib << 20);
  }

  private static BackendFactory factory(String backend) {
    try {
      return Backends.named(backend);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException("backend " + e.getMessage(), e);
    }
  }
}
