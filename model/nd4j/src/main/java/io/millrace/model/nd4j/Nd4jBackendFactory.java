package io.millrace.model.nd4j;

import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.BackendFactory;

/** Opens {@link Nd4jBackend}. */
public final class Nd4jBackendFactory implements BackendFactory {

  @Override
  public String name() {
    return "nd4j";
  }

  @Override
  public Backend open() {
    return new Nd4jBackend();
  }
}
