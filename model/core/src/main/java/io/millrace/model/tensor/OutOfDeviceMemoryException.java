package io.millrace.model.tensor;

/** A device has no more memory. The message names the largest consumers and what to lower. */
public final class OutOfDeviceMemoryException extends RuntimeException {

  public OutOfDeviceMemoryException(String message, Throwable cause) {
    super(message, cause);
  }
}
