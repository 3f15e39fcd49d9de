package io.millrace.connectors.registry;

import java.io.IOException;
import java.io.UncheckedIOException;

/**
 * A schema registry does not answer, or refuses this client. It says nothing about the record that
 * needed a schema, so the record is read again later.
 */
public final class RegistryException extends UncheckedIOException {
  private static final long serialVersionUID = 1L;

  RegistryException(String message, Throwable cause) {
    super(message, new IOException(message, cause));
  }

  RegistryException(String message) {
    this(message, null);
  }
}
