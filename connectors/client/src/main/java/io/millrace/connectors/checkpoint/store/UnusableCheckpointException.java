package io.millrace.connectors.checkpoint.store;

import java.io.IOException;

/**
 * A checkpoint that is missing, or is not the one that was announced. A retry does not help, unlike
 * after other failures of the storage.
 */
public final class UnusableCheckpointException extends IOException {
  private static final long serialVersionUID = 1L;

  UnusableCheckpointException(String message) {
    super(message);
  }
}
