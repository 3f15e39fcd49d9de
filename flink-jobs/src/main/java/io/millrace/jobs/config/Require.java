package io.millrace.jobs.config;

/** Checks of a configuration record's compact constructor. */
final class Require {

  private Require() {}

  static void atLeast(String key, long value, long least) {
    if (value < least) {
      throw new IllegalArgumentException(key + " must be at least " + least + ", not " + value);
    }
  }

  static void positive(String key, double value) {
    if (!(value > 0)) {
      throw new IllegalArgumentException(key + " must be above 0, not " + value);
    }
  }

  static void between(String key, double value, double low, double high) {
    if (!(value >= low && value <= high)) {
      throw new IllegalArgumentException(
          "%s must be from %s to %s, not %s".formatted(key, low, high, value));
    }
  }

  static void present(String key, String value) {
    if (value.isBlank()) {
      throw new IllegalArgumentException(key + " must not be empty");
    }
  }
}
