package io.millrace.jobs.config;

import io.millrace.model.llama.ActivationMemory;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.BackendFactory;
import io.millrace.model.tensor.Backends;

/** The compute backend of a job, and the memory of its training passes. */
public record ComputeSection(
    @Option(
            value = "cpu",
            help = "Compute backend: `cpu`, or `nd4j` for comparison.",
            required = true)
        String backend,
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
        boolean recomputeActivations)
    implements ConfigSection {

  public ComputeSection {
    BackendFactory _ = factory(backend);
    Require.accepted(
        "micro-batch-tokens", () -> new ActivationMemory(microBatchTokens, recomputeActivations));
  }

  /** Opens a backend, for one thread at a time. */
  public Backend open() {
    BackendFactory factory = factory(backend);
    if (threads > 0) {
      factory.useThreads(threads);
    }
    return factory.open();
  }

  /** Memory settings of training passes. */
  public ActivationMemory memory() {
    return new ActivationMemory(microBatchTokens, recomputeActivations);
  }

  private static BackendFactory factory(String backend) {
    try {
      return Backends.named(backend);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException("backend " + e.getMessage(), e);
    }
  }
}
