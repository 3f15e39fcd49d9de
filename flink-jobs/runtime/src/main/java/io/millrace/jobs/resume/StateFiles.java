package io.millrace.jobs.resume;

import io.millrace.connectors.checkpoint.store.CheckpointStore;
import java.io.DataInputStream;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.OutputStream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.apache.flink.core.fs.FSDataInputStream;
import org.apache.flink.core.fs.FileStatus;
import org.apache.flink.core.fs.FileSystem;
import org.apache.flink.core.fs.FileSystem.WriteMode;
import org.apache.flink.core.fs.Path;
import org.apache.flink.runtime.checkpoint.Checkpoints;

/** Small files beside Flink's state, in any file system that Flink has. */
final class StateFiles {

  /** The file of a Flink checkpoint or savepoint that is written last. */
  private static final String METADATA = "_metadata";

  private static final int LONGEST = 1 << 20;

  private StateFiles() {}

  static Path path(String location) {
    return CheckpointStore.isLocal(location)
        ? new Path(CheckpointStore.localPath(location).toAbsolutePath().toUri())
        : new Path(URI.create(location));
  }

  /** The directories in a directory; none if it does not exist. */
  static List<Path> directories(Path directory) throws IOException {
    try {
      FileStatus[] found = directory.getFileSystem().listStatus(directory);
      return found == null
          ? List.of()
          : Arrays.stream(found).filter(FileStatus::isDir).map(FileStatus::getPath).toList();
    } catch (FileNotFoundException e) {
      return List.of();
    }
  }

  /** The text of a file; empty if it does not exist. */
  static Optional<String> read(Path file) throws IOException {
    FileSystem files = file.getFileSystem();
    if (!files.exists(file)) {
      return Optional.empty();
    }
    try (FSDataInputStream in = files.open(file)) {
      return Optional.of(new String(in.readNBytes(LONGEST), StandardCharsets.UTF_8));
    }
  }

  /** Writes a file in one step: a reader sees all of it or nothing. */
  static void write(Path file, String text) throws IOException {
    write(file, text.getBytes(StandardCharsets.UTF_8));
  }

  /** Writes a file in one step: a reader sees all of it or nothing. */
  static void write(Path file, byte[] content) throws IOException {
    FileSystem files = file.getFileSystem();
    files.mkdirs(file.getParent());
    // An object appears with its last byte.
    Path first =
        files.isDistributedFS() ? file : new Path(file.getParent(), file.getName() + ".new");
    try (OutputStream out = files.create(first, WriteMode.OVERWRITE)) {
      out.write(content);
    }
    if (!first.equals(file) && !files.rename(first, file)) {
      throw new IOException("%s could not be renamed to %s".formatted(first, file));
    }
  }

  /** The Flink checkpoint or savepoint in a directory; empty if it has none that is complete. */
  static Optional<SavedState> state(Path directory) throws IOException {
    Path metadata = new Path(directory, METADATA);
    FileSystem files = metadata.getFileSystem();
    if (!files.exists(metadata)) {
      return Optional.empty();
    }
    try (DataInputStream in = new DataInputStream(files.open(metadata))) {
      long id =
          Checkpoints.loadCheckpointMetadata(
                  in, StateFiles.class.getClassLoader(), directory.toString())
              .getCheckpointId();
      return Optional.of(
          new SavedState(directory.toString(), id, !directory.getName().startsWith("chk-")));
    }
  }

  static void delete(Path directory) throws IOException {
    directory.getFileSystem().delete(directory, true);
  }
}
