package io.millrace.connectors.checkpoint;

import java.io.ByteArrayInputStream;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import org.apache.flink.core.fs.FSDataOutputStream;
import org.apache.flink.core.fs.FileStatus;
import org.apache.flink.core.fs.FileSystem;
import org.apache.flink.core.fs.FileSystem.WriteMode;
import org.apache.flink.core.fs.Path;
import org.apache.flink.core.fs.UnsupportedFileSystemSchemeException;

/**
 * What is done with the files of a Flink file system, by URI. Whatever goes wrong is an {@link
 * IOException}: clients of object stores throw much else.
 */
final class RemoteFiles {
  private static final int BUFFER = 1 << 18;
  private static final int MOST_IN_MEMORY = 1 << 26;

  private final FileSystem files;

  private RemoteFiles(FileSystem files) {
    this.files = files;
  }

  /**
   * The file system of a URI.
   *
   * @throws IllegalArgumentException when this process has none for it
   */
  static RemoteFiles of(String uri) throws IOException {
    try {
      return new RemoteFiles(told(uri, () -> FileSystem.get(new Path(uri).toUri())));
    } catch (UnsupportedFileSystemSchemeException e) {
      throw new IllegalArgumentException(
          "%s: this process has no file system for it; put Flink's into plugins/ or on the class path (docs/operations.md, Object stores)"
              .formatted(uri),
          e);
    }
  }

  /** One entry of a directory. */
  record Entry(String name, boolean isDirectory, long size, long modified) {}

  /** What is directly below a URI; nothing where there is no such directory. */
  List<Entry> list(String directory) throws IOException {
    List<Entry> entries = new ArrayList<>();
    FileStatus[] found =
        told(
            directory,
            () -> {
              try {
                return files.listStatus(new Path(directory));
              } catch (FileNotFoundException e) {
                return null;
              }
            });
    if (found != null) {
      for (FileStatus status : found) {
        entries.add(
            new Entry(
                status.getPath().getName(),
                status.isDir(),
                status.getLen(),
                status.getModificationTime()));
      }
    }
    return entries;
  }

  /** The size of a file; empty where there is none. */
  Optional<Long> size(String uri) throws IOException {
    return status(uri).filter(status -> !status.isDir()).map(FileStatus::getLen);
  }

  boolean isFile(String uri) throws IOException {
    return size(uri).isPresent();
  }

  /** Whether there is a file or directory. */
  boolean exists(String uri) throws IOException {
    return status(uri).isPresent();
  }

  Instant modified(String uri) throws IOException {
    return Instant.ofEpochMilli(status(uri).orElseThrow(() -> missing(uri)).getModificationTime());
  }

  private Optional<FileStatus> status(String uri) throws IOException {
    return told(
        uri,
        () -> {
          try {
            return Optional.of(files.getFileStatus(new Path(uri)));
          } catch (FileNotFoundException e) {
            return Optional.empty();
          }
        });
  }

  /** A small file's content; empty where there is none. */
  Optional<byte[]> read(String uri) throws IOException {
    if (!isFile(uri)) {
      return Optional.empty();
    }
    try (InputStream in = open(uri)) {
      byte[] content = told(uri, () -> in.readNBytes(MOST_IN_MEMORY + 1));
      if (content.length > MOST_IN_MEMORY) {
        throw new IOException(uri + " is too large for a manifest");
      }
      return Optional.of(content);
    }
  }

  InputStream open(String uri) throws IOException {
    return told(
        uri,
        () -> {
          try {
            return new RemoteInputStream(uri, files.open(new Path(uri)));
          } catch (FileNotFoundException e) {
            throw missing(uri);
          }
        });
  }

  String sha256(String uri) throws IOException {
    MessageDigest digest = PublishedFiles.sha256();
    byte[] buffer = new byte[BUFFER];
    try (InputStream in = open(uri)) {
      for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
        digest.update(buffer, 0, n);
      }
    }
    return HexFormat.of().formatHex(digest.digest());
  }

  void write(String uri, byte[] content) throws IOException {
    write(uri, new ByteArrayInputStream(content));
  }

  /**
   * Copies a file of this machine, piece by piece.
   *
   * @return SHA-256 of what was written, in hexadecimal
   */
  String upload(java.nio.file.Path file, String uri) throws IOException {
    MessageDigest digest = PublishedFiles.sha256();
    try (InputStream in = new DigestInputStream(Files.newInputStream(file), digest)) {
      write(uri, in);
    }
    return HexFormat.of().formatHex(digest.digest());
  }

  private void write(String uri, InputStream in) throws IOException {
    told(
        uri,
        () -> {
          byte[] buffer = new byte[BUFFER];
          try (FSDataOutputStream out = files.create(new Path(uri), WriteMode.OVERWRITE)) {
            for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
              out.write(buffer, 0, n);
            }
          }
          return null;
        });
  }

  /** Renames a file, or where that is atomic a directory, to a URI where nothing is. */
  void move(String from, String to) throws IOException {
    told(
        from,
        () -> {
          Path target = new Path(to);
          files.mkdirs(target.getParent());
          if (!files.rename(new Path(from), target)) {
            throw new IOException("cannot be moved to " + to);
          }
          return null;
        });
  }

  /** Deletes a file, or a directory with all that is in it; fine where there is none. */
  void delete(String uri) throws IOException {
    told(uri, () -> files.delete(new Path(uri), true));
  }

  static IOException missing(String uri) {
    return new UnusableCheckpointException("there is no " + uri);
  }

  /** Something that may fail in any way. */
  @FunctionalInterface
  private interface Operation<T> {
    T run() throws IOException;
  }

  private static <T> T told(String uri, Operation<T> operation) throws IOException {
    try {
      return operation.run();
    } catch (UnusableCheckpointException | UnsupportedFileSystemSchemeException e) {
      throw e;
    } catch (IOException | RuntimeException e) {
      throw new IOException("%s: %s".formatted(uri, message(e)), e);
    }
  }

  private static String message(Exception e) {
    for (Throwable cause = e; cause != null; cause = cause.getCause()) {
      if (String.valueOf(cause.getMessage()).contains("getSubject is not supported")) {
        return "this file system is built on a Hadoop that does not run on Java 24 and later; for"
            + " S3 take flink-s3-fs-native";
      }
    }
    return e.getMessage() == null ? e.toString() : e.getMessage();
  }

  /** Tells of which file a reading failed. */
  private static final class RemoteInputStream extends InputStream {
    private final String uri;
    private final InputStream in;

    RemoteInputStream(String uri, InputStream in) {
      this.uri = uri;
      this.in = in;
    }

    @Override
    public int read() throws IOException {
      return told(uri, in::read);
    }

    @Override
    public int read(byte[] buffer, int offset, int length) throws IOException {
      return told(uri, () -> in.read(buffer, offset, length));
    }

    @Override
    public void close() throws IOException {
      in.close();
    }
  }
}
