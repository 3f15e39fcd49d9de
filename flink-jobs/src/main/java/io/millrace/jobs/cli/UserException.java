package io.millrace.jobs.cli;

/** Something that the person at the command line can mend; told in one line. */
final class UserException extends RuntimeException {

  private static final long serialVersionUID = 1;

  UserException(String message) {
    super(message);
  }
}
