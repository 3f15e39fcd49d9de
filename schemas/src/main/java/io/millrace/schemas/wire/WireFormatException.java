package io.millrace.schemas.wire;

/** Bytes or text that are no record of the type asked for; the message says why. */
public final class WireFormatException extends RuntimeException {

  private static final long serialVersionUID = 1;

  public WireFormatException(String message) {
    super(message);
  }

  public WireFormatException(String message, Throwable cause) {
    super(message, cause);
  }
}
