package io.millrace.model.tokenizer;

/**
 * A tokenizer file that cannot be read, understood or written. The message begins with the path.
 */
public class TokenizerException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /**
   * A problem of a file.
   *
   * @param where path of the file
   * @param problem what is wrong; line breaks and control characters become spaces
   */
  public TokenizerException(String where, String problem) {
    super(where + ": " + oneLine(problem));
  }

  /** As {@link #TokenizerException(String, String)}, with a cause. */
  public TokenizerException(String where, String problem, Throwable cause) {
    super(where + ": " + oneLine(problem), cause);
  }

  /**
   * Replaces control characters: messages quote files, which can contain line breaks and terminal
   * sequences.
   */
  private static String oneLine(String problem) {
    return problem.replaceAll("[\\p{Cc}\\u2028\\u2029]+", " ");
  }
}
