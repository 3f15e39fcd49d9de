package io.millrace.cli.bench;

import java.time.Duration;

/**
 * Repetitions that do not count, until the JVM has compiled the hot code. That takes seconds,
 * however short a repetition is; a job that runs for days does not notice it.
 */
final class WarmUp {

  private static final int REPETITIONS = 3;
  private static final Duration TIME = Duration.ofSeconds(8);

  private final long start = System.nanoTime();
  private int repetitions;

  /** Whether the next repetition is still part of the warm-up. */
  boolean goesOn() {
    return repetitions++ < REPETITIONS || System.nanoTime() - start < TIME.toNanos();
  }
}
