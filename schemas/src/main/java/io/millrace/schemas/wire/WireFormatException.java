package io.millrace.schemas.wire;

import io.millrace.schemas.UnusableRecordException;

/** Bytes or text that cannot be decoded into a record. Its reason is "undecodable". */
public final class WireFormatException extends UnusableRecordException {
  private static final long serialVersionUID = 1L;

  public static final String REASON = "undecodable";

  public WireFormatException(String message) {
    this(message, null);
  }

  public WireFormatException(String message, Throwable cause) {
    super(REASON, message, cause);
  }
}
