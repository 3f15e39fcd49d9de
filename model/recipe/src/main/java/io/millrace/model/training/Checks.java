package io.millrace.model.training;

/** The refusals that all pieces share. */
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
          what + ": " + length + " elements given, one for each of " + expected + " needed");
    }
  }

  public static void that(boolean valid, String name, double value, String range) {
    if (!valid) {
      throw new IllegalArgumentException(name + " must be " + range + ", not " + value);
    }
  }
}
