package io.millrace.model.cpu;

import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.BackendFactory;

/** Opens {@link CpuBackend}. */
public final class CpuBackendFactory implements BackendFactory {

  @Override
  public String name() {
    return "cpu";
  }

  @Override
  public Backend open() {
    return new CpuBackend();
  }

  @Override
  public void useThreads(int threads) {
    WorkPool.useThreads(threads);
  }
}
