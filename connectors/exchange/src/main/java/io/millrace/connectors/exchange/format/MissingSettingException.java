package io.millrace.connectors.exchange.format;

/** A file cannot be read before the user says something about it. */
public final class MissingSettingException extends IllegalArgumentException {
  private static final long serialVersionUID = 1L;

  MissingSettingException(String message) {
    super(message);
  }
}
