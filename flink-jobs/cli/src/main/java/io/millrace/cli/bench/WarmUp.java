package io.millrace.cli.bench;

import java.time.Duration;

/**
 * Repetitions before the clock counts: until the JVM has compiled what is hot, which takes it
 * seconds, however short a repetition is. A job that runs for days does not know that time.
 */
final class WarmUp {

  private static final int REPETITIONS = 3;
  private static final Duration TIME = Duration.ofSeconds(8);

  private final long start = System.nanoTime();
  private int repetitions;

  /** Whether the repetition that is about to begin belongs to it. */
  boolean goesOn() {
    return repetitions++ < REPETITIONS || System.nanoTime() - start < TIME.toNanos();
  }
}
