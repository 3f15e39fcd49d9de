package io.millrace.jobs.rollout.engine;

import java.time.Duration;
import java.util.function.LongSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Keeps requests from an engine that fails. It opens after a number of failures in a row. After a
 * pause one request is let through: its success closes the breaker, its failure begins another
 * pause. Thread-safe.
 */
final class CircuitBreaker {

  private static final Logger LOG = LoggerFactory.getLogger(CircuitBreaker.class);

  /** Time between two looks while another request probes. */
  private static final Duration PROBING = Duration.ofMillis(50);

  private enum State {
    CLOSED,
    OPEN,
    HALF_OPEN
  }

  private final String engine;
  private final int mostFailures;
  private final Duration pause;
  private final LongSupplier nanoTime;

  private State state = State.CLOSED;
  private int failures;
  private long openedAt;
  private long pausedAt;
  private long successes;

  /**
   * @param engine for messages
   * @param mostFailures in a row, after which it opens
   * @param pause before a request is let through again
   */
  CircuitBreaker(String engine, int mostFailures, Duration pause, LongSupplier nanoTime) {
    this.engine = engine;
    this.mostFailures = mostFailures;
    this.pause = pause;
    this.nanoTime = nanoTime;
  }

  /** How long a request has to wait before it asks again; zero lets it through. */
  synchronized Duration await() {
    return switch (state) {
      case CLOSED -> Duration.ZERO;
      case HALF_OPEN -> PROBING;
      case OPEN -> {
        Duration left = pause.minusNanos(nanoTime.getAsLong() - pausedAt);
        if (left.isPositive()) {
          yield left;
        }
        state = State.HALF_OPEN;
        yield Duration.ZERO;
      }
    };
  }

  /** A request got no answer, or one that says that the engine is not working. */
  synchronized void failed(String problem) {
    long now = nanoTime.getAsLong();
    if (state == State.HALF_OPEN) {
      state = State.OPEN;
      pausedAt = now;
    } else if (state == State.CLOSED && ++failures >= mostFailures) {
      state = State.OPEN;
      openedAt = now;
      pausedAt = now;
      LOG.warn(
          "{} failed {} times in a row, the last time with: {}. Prompts wait, and one request is"
              + " tried every {} s",
          engine,
          failures,
          problem,
          pause.toMillis() / 1000.0);
    }
  }

  /** The engine works. */
  synchronized void answered() {
    if (state != State.CLOSED) {
      LOG.info(
          "{} answers again after {} s",
          engine,
          Duration.ofNanos(nanoTime.getAsLong() - openedAt).toSeconds());
    }
    state = State.CLOSED;
    failures = 0;
    successes++;
  }

  synchronized boolean isOpen() {
    return state != State.CLOSED;
  }

  /** Answers so far. */
  synchronized long successes() {
    return successes;
  }
}
