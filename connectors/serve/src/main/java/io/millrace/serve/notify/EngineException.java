package io.millrace.serve.notify;

import java.io.IOException;

/** Why an endpoint does not have a version. */
final class EngineException extends IOException {

  private static final long serialVersionUID = 1;

  /** What may help. */
  enum Kind {
    /** There is no connection, or no answer in time: the endpoint may be starting. */
    UNREACHABLE,
    /** The endpoint reports a failure that may pass. */
    FAILED,
    /** The endpoint refuses the call; the same call is refused again. */
    REFUSED
  }

  private final Kind kind;

  EngineException(Kind kind, String message) {
    super(message);
    this.kind = kind;
  }

  Kind kind() {
    return kind;
  }
}
