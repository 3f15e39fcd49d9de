package io.millrace.cli.option;

/** An error that the user can mend; the message is one line. */
public final class UserException extends RuntimeException {

  private static final long serialVersionUID = 1;

  public UserException(String message) {
    super(message);
  }
}
