package io.millrace.jobs.config;

/** Checks for the compact constructor of a configuration record. */
public final class Require {

  private Require() {}

  /** Builds a domain object from options. */
  public interface Builder {
    Object build();
  }

  /**
   * Builds a domain object once, so that what it refuses is reported under an option's key.
   *
   * @param key the option, as it stands in its section
   * @throws IllegalArgumentException with the key before the builder's own message
   */
  public static void accepted(String key, Builder builder) {
    try {
      var _ = builder.build();
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(key + ": " + e.getMessage(), e);
    }
  }
}
