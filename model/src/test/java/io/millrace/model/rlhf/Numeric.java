package io.millrace.model.rlhf;

import java.util.function.DoubleUnaryOperator;

/** Central differences. */
final class Numeric {

  static final double STEP = 1e-5;

  private Numeric() {}

  static double derivative(DoubleUnaryOperator f, double x) {
    return (f.applyAsDouble(x + STEP) - f.applyAsDouble(x - STEP)) / (2 * STEP);
  }
}
