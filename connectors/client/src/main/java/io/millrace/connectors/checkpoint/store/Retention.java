package io.millrace.connectors.checkpoint.store;

import java.io.Serializable;
import java.time.Duration;
import java.util.List;
import java.util.Objects;

/**
 * The rule by which versions of a model stay in the store. The first and the newest version always
 * stay.
 *
 * @param keep the number of newest versions that stay; 0 keeps all versions
 * @param keepEvery versions divisible by this number stay; 0 turns this rule off
 * @param grace how long a version stays after it has left the newest {@code keep}, counted from the
 *     time at which the version that replaced it was written. Readers that load the version, and
 *     Flink checkpoints that refer to it, have this much time.
 * @param pinned directories that stay, such as the policy that jobs start from
 */
public record Retention(int keep, long keepEvery, Duration grace, List<String> pinned)
    implements Serializable {
  private static final long serialVersionUID = 1L;

  public Retention {
    if (keep < 0) {
      throw new IllegalArgumentException(
          "keep is " + keep + "; it must be at least 0 (0 keeps all versions)");
    }
    if (keepEvery < 0) {
      throw new IllegalArgumentException(
          "keep-every is " + keepEvery + "; it must be at least 0 (0 turns this rule off)");
    }
    if (Objects.requireNonNull(grace, "grace").isNegative()) {
      throw new IllegalArgumentException("grace is " + grace + "; it must not be negative");
    }
    pinned = List.copyOf(pinned);
  }

  /** Keeps all versions. */
  public static Retention all() {
    return new Retention(0, 0, Duration.ZERO, List.of());
  }
}
