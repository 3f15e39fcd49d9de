package io.millrace.schemas;

import java.util.List;

/** A decoded record that breaks the rules of {@link Validation}. Its reason is "invalid". */
public final class InvalidRecordException extends UnusableRecordException {
  private static final long serialVersionUID = 1L;

  public static final String REASON = "invalid";

  /**
   * @param record the record's type
   * @param problems all broken rules
   */
  public InvalidRecordException(String record, List<String> problems) {
    super(REASON, record + ": " + String.join("; ", problems), null);
  }
}
