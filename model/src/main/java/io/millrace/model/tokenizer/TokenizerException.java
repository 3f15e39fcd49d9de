package io.millrace.model.tokenizer;

import java.nio.file.Path;

/** A tokenizer's files cannot be used; the message says which and why. */
public final class TokenizerException extends RuntimeException {

  private static final long serialVersionUID = 1;

  TokenizerException(Path file, String what, Throwable cause) {
    super(file + ": " + what, cause);
  }
}
