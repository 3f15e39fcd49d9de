package io.millrace.model.training;

import java.util.function.DoubleUnaryOperator;

/** Central differences. */
public final class Numeric {

  public static final double STEP = 1e-5;

  private Numeric() {}

  public static double derivative(DoubleUnaryOperator f, double x) {
    return (f.applyAsDouble(x + STEP) - f.applyAsDouble(x - STEP)) / (2 * STEP);
  }
}
