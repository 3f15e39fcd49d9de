package io.millrace.jobs.rollout.engine;

import java.io.IOException;

/** An answer of an engine that no retry mends. */
public final class EngineException extends IOException {

  private static final long serialVersionUID = 1;

  private final boolean ofPrompt;

  private EngineException(boolean ofPrompt, String message) {
    super(message);
    this.ofPrompt = ofPrompt;
  }

  /** The engine refuses one request; others may succeed. */
  static EngineException refused(String message) {
    return new EngineException(true, message);
  }

  /** The engine, or its settings, cannot be used for any request. */
  static EngineException unusable(String message) {
    return new EngineException(false, message);
  }

  /** Whether only the one request is refused. */
  public boolean isOfPrompt() {
    return ofPrompt;
  }
}
