package io.millrace.model.training;

/** Argument checks. Each throws an {@link IllegalArgumentException} with the argument's name. */
public final class Checks {

  private Checks() {}

  public static double finite(String what, double value) {
    if (!Double.isFinite(value)) {
      throw new IllegalArgumentException(what + " must be finite, not " + value);
    }
    return value;
  }

  public static double finite(String what, int index, double value) {
    if (!Double.isFinite(value)) {
      throw new IllegalArgumentException(
          what + " must be finite; element " + index + " is " + value);
    }
    return value;
  }

  public static void finite(String what, double[] values) {
    for (int i = 0; i < values.length; i++) {
      finite(what, i, values[i]);
    }
  }

  public static void finite(String what, float[] values) {
    for (int i = 0; i < values.length; i++) {
      finite(what, i, values[i]);
    }
  }

  public static void sameLength(String what, int length, int expected) {
    if (length != expected) {
      throw new IllegalArgumentException(
          what + " must have " + expected + " elements, not " + length);
    }
  }

  public static void that(boolean valid, String name, double value, String range) {
    if (!valid) {
      throw new IllegalArgumentException(name + " must be " + range + ", not " + value);
    }
  }
}
