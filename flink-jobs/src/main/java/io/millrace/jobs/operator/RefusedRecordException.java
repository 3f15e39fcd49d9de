package io.millrace.jobs.operator;

import io.millrace.schemas.UnusableRecordException;

/** A valid record that a job cannot use, such as one that is too long for its model. */
final class RefusedRecordException extends UnusableRecordException {

  private static final long serialVersionUID = 1;

  RefusedRecordException(String reason, String message) {
    super(reason, message, null);
  }
}
