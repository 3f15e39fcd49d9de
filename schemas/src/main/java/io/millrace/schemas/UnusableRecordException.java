package io.millrace.schemas;

import java.util.Objects;

/** A record that cannot be used, with the reason to count. */
public abstract class UnusableRecordException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final String reason;

  protected UnusableRecordException(String reason, String message, Throwable cause) {
    super(message, cause);
    this.reason = Objects.requireNonNull(reason, "reason");
  }

  /** The {@code reason} of the dead letter and of its metric, from a small set of words. */
  public final String reason() {
    return reason;
  }
}
