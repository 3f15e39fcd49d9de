package io.millrace.jobs.config;

import io.millrace.model.llama.ActivationMemory;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.BackendKind;
import io.millrace.model.tensor.cpu.CpuBackend;
import java.io.Serializable;

/** What a job computes on, and how much memory a training pass takes. */
public record ComputeSection(
    @Option(value = "cpu", help = "Compute backend: cpu, or nd4j for reference.")
        BackendKind backend,
    @Option(
            value = "0",
            help =
                "Threads that compute at once in a process, however many task slots it has; 0 for"
                    + " all cores. The first job of a process decides.")
        int threads,
    @Option(
            value = "0",
            help =
                "A batch of more tokens is learned from in parts of at most as many, whose"
                    + " gradients add up; activations take memory for one part. 0: 512, or twice"
                    + " the hidden size where that is more.")
        int microBatchTokens,
    @Option(
            value = "false",
            help =
                "Keep only each layer's input for the backward pass and compute the rest again: far"
                    + " less memory, a third more arithmetic, the same gradients.")
        boolean recomputeActivations)
    implements Serializable {

  public ComputeSection {
    Require.atLeast("threads", threads, 0);
    Require.atLeast("micro-batch-tokens", microBatchTokens, 0);
  }

  /** A new backend, for one thread at a time. */
  public Backend open() {
    if (threads > 0) {
      CpuBackend.useThreads(threads);
    }
    return backend.open();
  }

  /** What training passes keep. */
  public ActivationMemory memory() {
    return new ActivationMemory(microBatchTokens, recomputeActivations);
  }
}
