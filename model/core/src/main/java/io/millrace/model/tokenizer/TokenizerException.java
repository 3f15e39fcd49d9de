package io.millrace.model.tokenizer;

/** A tokenizer's files cannot be read, understood or written; the message begins with the path. */
public class TokenizerException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  public TokenizerException(String where, String problem) {
    super(where + ": " + oneLine(problem));
  }

  public TokenizerException(String where, String problem, Throwable cause) {
    super(where + ": " + oneLine(problem), cause);
  }

  /** Problems quote files, which may hold line breaks and terminal controls. */
  private static String oneLine(String problem) {
    return problem.replaceAll("[\\p{Cc}\\u2028\\u2029]+", " ");
  }
}
