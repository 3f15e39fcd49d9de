package io.millrace.jobs.config;

import io.millrace.model.llama.ActivationMemory;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.BackendFactory;
import io.millrace.model.tensor.Backends;

/** What a job computes on, and how much memory a training pass takes. */
public record ComputeSection(
    @Option(value = "cpu", help = "Compute backend: cpu, or nd4j for reference.") String backend,
    @Option(
            value = "0",
            help =
                "Threads that compute at once in a process, however many task slots it has; 0 for"
                    + " all cores. The first job of a process decides.",
            min = "0")
        int threads,
    @Option(
            value = "0",
            help =
                "A batch of more tokens is learned from in parts of at most as many, whose"
                    + " gradients add up; activations take memory for one part. 0: 512, or twice"
                    + " the hidden size where that is more.",
            min = "0")
        int microBatchTokens,
    @Option(
            value = "false",
            help =
                "Keep only each layer's input for the backward pass and compute the rest again: far"
                    + " less memory, a third more arithmetic, the same gradients.")
        boolean recomputeActivations)
    implements ConfigSection {

  public ComputeSection {
    BackendFactory _ = factory(backend);
  }

  /** A new backend, for one thread at a time. */
  public Backend open() {
    BackendFactory factory = factory(backend);
    if (threads > 0) {
      factory.useThreads(threads);
    }
    return factory.open();
  }

  /** What training passes keep. */
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
