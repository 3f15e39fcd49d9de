package io.millrace.schemas;

/** A valid record that a job cannot use, such as one that is too long for its model. */
public final class RefusedRecordException extends UnusableRecordException {
  private static final long serialVersionUID = 1L;

  /**
   * @param reason the reason to count, such as "too-long"
   * @param message the problem, with the value and the limit
   */
  public RefusedRecordException(String reason, String message) {
    super(reason, message, null);
  }
}
