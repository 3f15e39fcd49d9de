package io.millrace.model.contract;

import java.util.function.DoubleUnaryOperator;

/** Derivatives by central differences: (f(x + h) − f(x − h)) / 2h. */
public final class CentralDifference {

  /** h. */
  public static final double STEP = 1e-5;

  private CentralDifference() {}

  /** The derivative of {@code f} at {@code x}, with an error of the order of h². */
  public static double derivative(DoubleUnaryOperator f, double x) {
    return (f.applyAsDouble(x + STEP) - f.applyAsDouble(x - STEP)) / (2 * STEP);
  }
}
