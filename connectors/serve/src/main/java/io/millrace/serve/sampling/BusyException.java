package io.millrace.serve.sampling;

import java.time.Duration;

/** A request that was not taken, because too many wait. */
public final class BusyException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final transient Duration retryAfter;

  BusyException(String message, Duration retryAfter) {
    super(message);
    this.retryAfter = retryAfter;
  }

  /** When there is room again, by the speed of the last responses. */
  public Duration retryAfter() {
    return retryAfter;
  }
}
