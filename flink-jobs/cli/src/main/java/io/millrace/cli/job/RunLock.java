package io.millrace.cli.job;

import io.millrace.cli.option.UserException;
import io.millrace.connectors.checkpoint.store.CheckpointStore;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/** Keeps a second process from running the same job on the same state directory. */
final class RunLock implements AutoCloseable {

  private final FileChannel channel;

  private RunLock(FileChannel channel) {
    this.channel = channel;
  }

  /**
   * Locks a job. A state directory that is not local has no lock.
   *
   * @throws UserException if another process holds the lock
   */
  static RunLock of(String stateDirectory, String name) throws IOException {
    if (!CheckpointStore.isLocal(stateDirectory)) {
      return new RunLock(null);
    }
    Path directory = CheckpointStore.localPath(stateDirectory).resolve(name);
    Files.createDirectories(directory);
    FileChannel channel =
        FileChannel.open(
            directory.resolve("lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
    boolean locked = false;
    try {
      locked = channel.tryLock() != null;
    } catch (OverlappingFileLockException e) {
      // This process holds it.
    }
    if (!locked) {
      channel.close();
      throw new UserException(
          "%s already runs with flink.state-directory %s; stop that process, or set another topic prefix and directory"
              .formatted(name, stateDirectory));
    }
    return new RunLock(channel);
  }

  @Override
  public void close() throws IOException {
    if (channel != null) {
      channel.close();
    }
  }
}
