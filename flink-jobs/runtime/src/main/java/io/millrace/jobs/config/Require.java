package io.millrace.jobs.config;

/** Checks for the compact constructor of a configuration record. */
public final class Require {

  private Require() {}

  /** Builds a domain object from options. */
  public interface Builder {
    Object build();
  }

  /**
   * Builds a domain object to find out whether it accepts the options.
   *
   * @param key the option in its section, or several
   * @throws IllegalArgumentException with the key and the reason, if the builder throws one or
   *     overflows
   */
  public static void accepted(String key, Builder builder) {
    try {
      var _ = builder.build();
    } catch (IllegalArgumentException | ArithmeticException e) {
      throw new IllegalArgumentException(key + ": " + e.getMessage(), e);
    }
  }
}
