package io.millrace.connectors.checkpoint;

import java.io.IOException;

/**
 * A checkpoint that is not there, or is not what was announced: to ask again would not help, unlike
 * with storage that does not answer.
 */
public final class UnusableCheckpointException extends IOException {
  private static final long serialVersionUID = 1L;

  UnusableCheckpointException(String message) {
    super(message);
  }
}
