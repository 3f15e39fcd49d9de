package io.millrace.model.tokenizer;

/** A tokenizer's files cannot be read, understood or written; the message begins with the path. */
public class TokenizerException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  public TokenizerException(String where, String problem) {
    super(where + ": " + problem);
  }

  public TokenizerException(String where, String problem, Throwable cause) {
    super(where + ": " + problem, cause);
  }
}
