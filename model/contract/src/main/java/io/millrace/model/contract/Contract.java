package io.millrace.model.contract;

import io.millrace.model.tensor.Backend;

/** One group of the tests of {@link BackendContract}. */
interface Contract {

  /** The backend under test, a new one for each test. */
  Backend backend();

  /**
   * How much the result of a sampling kernel for a row or sequence may change with the other rows
   * and sequences. It is 0 for a backend that computes rows independently.
   */
  default float rowTolerance() {
    return 0;
  }
}
