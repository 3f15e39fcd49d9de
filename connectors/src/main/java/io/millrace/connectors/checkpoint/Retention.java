package io.millrace.connectors.checkpoint;

import java.io.Serializable;
import java.time.Duration;
import java.util.List;
import java.util.Objects;

/**
 * Which versions of a model stay in the store. The first one and the newest always do.
 *
 * @param keep how many of the newest stay; 0: all, and nothing is ever deleted
 * @param keepEvery versions divisible by this stay for good; 0: none for that reason
 * @param grace how long a version stays after the one was written that pushed it out of the newest:
 *     who loads it now, or resumes from a Flink checkpoint that names it, has so much time
 * @param pinned directories that stay, such as the policy that jobs start from
 */
public record Retention(int keep, long keepEvery, Duration grace, List<String> pinned)
    implements Serializable {
  private static final long serialVersionUID = 1L;

  public Retention {
    if (keep < 0) {
      throw new IllegalArgumentException("keep must be at least 0, not " + keep);
    }
    if (keepEvery < 0) {
      throw new IllegalArgumentException("keep-every must be at least 0, not " + keepEvery);
    }
    if (Objects.requireNonNull(grace, "grace").isNegative()) {
      throw new IllegalArgumentException("grace must not be negative, not " + grace);
    }
    pinned = List.copyOf(pinned);
  }

  /** Everything stays. */
  public static Retention all() {
    return new Retention(0, 0, Duration.ZERO, List.of());
  }
}
