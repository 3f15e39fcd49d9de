package io.millrace.cli.option;

/** Something that the person at the command line can mend; told in one line. */
public final class UserException extends RuntimeException {

  private static final long serialVersionUID = 1;

  public UserException(String message) {
    super(message);
  }
}
