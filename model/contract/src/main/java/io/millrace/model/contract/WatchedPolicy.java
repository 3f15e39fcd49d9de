package io.millrace.model.contract;

import io.millrace.model.llama.LanguageModel;
import io.millrace.model.sampling.Policy;

/** A policy that records when it is closed. The model stays open. */
public final class WatchedPolicy implements Policy {

  private final LanguageModel model;
  private final long version;
  private boolean closed;

  public WatchedPolicy(LanguageModel model, long version) {
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
    closed = true;
  }

  public boolean isClosed() {
    return closed;
  }
}
