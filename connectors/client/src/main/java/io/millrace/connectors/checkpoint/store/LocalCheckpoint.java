package io.millrace.connectors.checkpoint.store;

import java.nio.file.Path;

/** A local checkpoint directory. It is not deleted before {@link #close}. */
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
