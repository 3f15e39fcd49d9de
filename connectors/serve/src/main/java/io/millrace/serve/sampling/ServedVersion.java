package io.millrace.serve.sampling;

import io.millrace.model.llama.LanguageModel;
import io.millrace.model.sampling.Policy;

/** A version in the engine. */
final class ServedVersion implements Policy {

  private final LanguageModel model;
  private final long version;

  ServedVersion(LanguageModel model, long version) {
    this.model = model;
    this.version = version;
  }

  @Override
  public LanguageModel model() {
    return model;
  }

  @Override
  public long version() {
    return version;
  }

  @Override
  public void close() {
    model.close();
  }
}
