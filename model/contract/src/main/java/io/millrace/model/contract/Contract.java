package io.millrace.model.contract;

import io.millrace.model.tensor.Backend;

/** A part of {@link BackendContract}. */
interface Contract {

  /** The backend under test, new for each test. */
  Backend backend();

  /**
   * How far what sampling's kernels make of a row or a sequence may differ with the others beside
   * it; 0 where a backend keeps them apart bit for bit.
   */
  default float rowTolerance() {
    return 0;
  }
}
