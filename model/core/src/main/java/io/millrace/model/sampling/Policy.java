package io.millrace.model.sampling;

import io.millrace.model.llama.LanguageModel;

/** A policy version that a {@link SamplingEngine} samples from. */
public interface Policy extends AutoCloseable {

  /** The model with the weights of this version. */
  LanguageModel model();

  /** The policy version, or 0 for a model that was not published. */
  long version();

  @Override
  void close();

  /**
   * A policy of version 0 over a model of the caller. Closing the policy does not close the model.
   */
  static Policy borrowed(LanguageModel model) {
    return new Policy() {
      @Override
      public LanguageModel model() {
        return model;
      }

      @Override
      public long version() {
        return 0;
      }

      @Override
      public void close() {}
    };
  }
}
