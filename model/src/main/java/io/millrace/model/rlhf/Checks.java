package io.millrace.model.rlhf;

/** The refusals that all pieces share. */
final class Checks {

  private Checks() {}

  static double finite(String what, double value) {
    if (!Double.isFinite(value)) {
      throw new IllegalArgumentException(what + " must be finite, not " + value);
    }
    return value;
  }

  static double finite(String what, int index, double value) {
    if (!Double.isFinite(value)) {
      throw new IllegalArgumentException(
          what + " must be finite; element " + index + " is " + value);
    }
    return value;
  }

  static void finite(String what, double[] values) {
    for (int i = 0; i < values.length; i++) {
      finite(what, i, values[i]);
    }
  }

  static void finite(String what, float[] values) {
    for (int i = 0; i < values.length; i++) {
      finite(what, i, values[i]);
    }
  }

  static void sameLength(String what, int length, int expected) {
    if (length != expected) {
      throw new IllegalArgumentException(
          what + ": " + length + " elements given, one for each of " + expected + " needed");
    }
  }

  static void that(boolean valid, String name, double value, String range) {
    if (!valid) {
      throw new IllegalArgumentException(name + " must be " + range + ", not " + value);
    }
  }
}
