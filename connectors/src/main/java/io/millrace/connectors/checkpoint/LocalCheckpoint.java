package io.millrace.connectors.checkpoint;

import java.nio.file.Path;

/** A checkpoint directory of this machine, which stays until this is closed. */
public final class LocalCheckpoint implements AutoCloseable {
  private final Path directory;
  private final Runnable release;

  LocalCheckpoint(Path directory, Runnable release) {
    this.directory = directory;
    this.release = release;
  }

  public Path directory() {
    return directory;
  }

  @Override
  public void close() {
    release.run();
  }
}
