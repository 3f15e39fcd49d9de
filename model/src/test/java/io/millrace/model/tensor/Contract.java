package io.millrace.model.tensor;

/** A part of {@link BackendContract}. */
interface Contract {

  /** The backend under test, new for each test. */
  Backend backend();
}
