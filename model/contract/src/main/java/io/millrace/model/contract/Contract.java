package io.millrace.model.contract;

import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Tensor;

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

  /** Tolerance of a forward pass, as a share of the largest expected value. */
  default double forwardTolerance() {
    return 1e-5;
  }

  /** Tolerance of a gradient, as a share of the largest expected value. */
  default double backwardTolerance() {
    return 1e-4;
  }

  /** Compares the result of a forward pass. */
  default void assertForward(String what, double[] expected, Tensor actual) {
    TestTensors.assertClose(what, expected, TestTensors.doubles(actual), forwardTolerance());
  }

  /** Compares a gradient. */
  default void assertBackward(String what, double[] expected, Tensor actual) {
    TestTensors.assertClose(what, expected, TestTensors.doubles(actual), backwardTolerance());
  }
}
