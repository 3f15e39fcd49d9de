package io.millrace.schemas;

import java.util.List;

/** A record that decodes but breaks the rules of {@link Validation}; its reason is "invalid". */
public final class InvalidRecordException extends UnusableRecordException {
  private static final long serialVersionUID = 1L;

  public static final String REASON = "invalid";

  public InvalidRecordException(String record, List<String> problems) {
    super(REASON, record + ": " + String.join("; ", problems), null);
  }
}
