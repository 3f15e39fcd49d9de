package io.millrace.schemas;

/** A record that was decoded but cannot be used. */
public final class InvalidRecordException extends RuntimeException {

  private static final long serialVersionUID = 1;

  private final String reason;

  /**
   * A record that cannot be used.
   *
   * @param reason short and countable, such as "invalid" or "too-long"
   * @param message what is wrong with which value
   */
  public InvalidRecordException(String reason, String message) {
    super(message);
    this.reason = reason;
  }

  public String reason() {
    return reason;
  }
}
