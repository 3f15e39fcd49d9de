package io.millrace.model.sampling;

import io.millrace.model.llama.LanguageModel;

/** What a {@link SamplingEngine} samples with. */
public interface Policy extends AutoCloseable {

  LanguageModel model();

  /** The published version, 0 for a model of other origin. */
  long version();

  @Override
  void close();

  /** A model that stays its owner's: closing the policy leaves it open. */
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
