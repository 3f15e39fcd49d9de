package io.millrace.jobs.operator;

import java.net.URI;
import java.nio.file.Path;

/** Checkpoint directories by URI or plain path. */
final class Directories {

  private Directories() {}

  /** The local directory of a {@code file:} URI or a path. */
  static Path local(String uri) {
    return uri.startsWith("file:") ? Path.of(URI.create(uri).getPath()) : Path.of(uri);
  }
}
