package io.millrace.model.tensor;

import io.millrace.model.tensor.cpu.CpuBackend;
import io.millrace.model.tensor.nd4j.Nd4jBackend;
import java.util.function.Supplier;

/** The backends there are, by the names they are configured by. */
public enum BackendKind {
  /** All cores: kernels of our own on native memory. The default. */
  CPU(CpuBackend::new),
  /** The readable reference, in ND4J operations alone. */
  ND4J(Nd4jBackend::new);

  private final Supplier<Backend> maker;

  BackendKind(Supplier<Backend> maker) {
    this.maker = maker;
  }

  /** A new backend, for one thread at a time. */
  public Backend open() {
    return maker.get();
  }
}
