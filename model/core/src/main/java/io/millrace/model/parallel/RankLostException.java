package io.millrace.model.parallel;

import java.io.IOException;

/** Another rank cannot be reached any more, or does not answer. */
public final class RankLostException extends IOException {

  private static final long serialVersionUID = 1;

  /**
   * @param peer the rank and its host
   * @param problem what it did, as the rest of a sentence
   * @param cause null for none
   */
  RankLostException(String peer, String problem, Throwable cause) {
    super(peer + " " + problem, cause);
  }
}
