package io.millrace.connectors.checkpoint.store;

import io.millrace.schemas.PlainFiles;
import io.millrace.schemas.Sha256;
import java.io.ByteArrayInputStream;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Path;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.ServiceLoader;

/**
 * Operations on files of a {@link RemoteFileSystem}, by URI. Every failure is an {@link
 * IOException} that names the URI, although clients of object stores throw many other exceptions.
 */
final class RemoteFiles {
  private static final int BUFFER_BYTES = 1 << 18;

  private static final List<RemoteFileSystemFactory> FACTORIES =
      ServiceLoader.load(
              RemoteFileSystemFactory.class, RemoteFileSystemFactory.class.getClassLoader())
          .stream()
          .map(ServiceLoader.Provider::get)
          .toList();

  private final RemoteFileSystem files;

  private RemoteFiles(RemoteFileSystem files) {
    this.files = files;
  }

  /**
   * The file system of a URI.
   *
   * @throws IllegalArgumentException when this process has no file system for the URI's scheme
   */
  static RemoteFiles of(String uri) throws IOException {
    for (RemoteFileSystemFactory factory : FACTORIES) {
      Optional<RemoteFileSystem> found = naming(uri, () -> factory.open(uri));
      if (found.isPresent()) {
        return new RemoteFiles(found.get());
      }
    }
    throw new IllegalArgumentException(
        (FACTORIES.isEmpty()
                ? "%s: millrace-client alone reads local directories only; mount the store, or put"
                    + " millrace-connectors-flink and Flink's file system on the class path"
                    + " (docs/producers.md, Object stores)"
                : "%s: this process has no file system for it; put Flink's into plugins/ or on the"
                    + " class path (docs/operations.md, Object stores)")
            .formatted(uri));
  }

  /** The entries of a directory; none when it does not exist. */
  List<RemoteFileSystem.Entry> list(String directory) throws IOException {
    return naming(
        directory,
        () -> {
          try {
            return files.list(directory);
          } catch (FileNotFoundException e) {
            return List.of();
          }
        });
  }

  /** The size of a file in bytes; empty when it does not exist. */
  Optional<Long> size(String uri) throws IOException {
    return status(uri).filter(entry -> !entry.isDirectory()).map(RemoteFileSystem.Entry::size);
  }

  boolean isFile(String uri) throws IOException {
    return size(uri).isPresent();
  }

  /** Whether a file or a directory exists. */
  boolean exists(String uri) throws IOException {
    return status(uri).isPresent();
  }

  Instant modified(String uri) throws IOException {
    return Instant.ofEpochMilli(status(uri).orElseThrow(() -> missing(uri)).modified());
  }

  private Optional<RemoteFileSystem.Entry> status(String uri) throws IOException {
    return naming(
        uri,
        () -> {
          try {
            return Optional.of(files.entry(uri));
          } catch (FileNotFoundException e) {
            return Optional.empty();
          }
        });
  }

  /** The content of a manifest; empty when it does not exist. */
  Optional<byte[]> read(String uri) throws IOException {
    if (!isFile(uri)) {
      return Optional.empty();
    }
    try (InputStream in = open(uri)) {
      return Optional.of(PublishedFiles.readManifest(in, uri));
    }
  }

  InputStream open(String uri) throws IOException {
    return naming(
        uri,
        () -> {
          try {
            return new RemoteInputStream(uri, files.open(uri));
          } catch (FileNotFoundException e) {
            throw missing(uri);
          }
        });
  }

  String sha256(String uri) throws IOException {
    MessageDigest digest = Sha256.newDigest();
    byte[] buffer = new byte[BUFFER_BYTES];
    try (InputStream in = open(uri)) {
      for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
        digest.update(buffer, 0, n);
      }
    }
    return Sha256.finish(digest);
  }

  void write(String uri, byte[] content) throws IOException {
    write(uri, new ByteArrayInputStream(content));
  }

  /**
   * Uploads a local file through a small buffer.
   *
   * @return SHA-256 of the written bytes, in hexadecimal
   */
  String upload(Path file, String uri) throws IOException {
    MessageDigest digest = Sha256.newDigest();
    try (InputStream in = new DigestInputStream(PlainFiles.open(file), digest)) {
      write(uri, in);
    }
    return Sha256.finish(digest);
  }

  private void write(String uri, InputStream in) throws IOException {
    naming(
        uri,
        () -> {
          byte[] buffer = new byte[BUFFER_BYTES];
          try (OutputStream out = files.create(uri)) {
            for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
              out.write(buffer, 0, n);
            }
          }
          return null;
        });
  }

  /**
   * Renames a file, or on a file system with atomic renames a directory. The target must not exist.
   */
  void move(String from, String to) throws IOException {
    naming(
        from,
        () -> {
          if (!files.move(from, to)) {
            throw new IOException("the file system refused to move it to " + to);
          }
          return null;
        });
  }

  /** Deletes a file, or a directory with its content; does nothing when it does not exist. */
  void delete(String uri) throws IOException {
    naming(
        uri,
        () -> {
          files.delete(uri);
          return null;
        });
  }

  private static IOException missing(String uri) {
    return new UnusableCheckpointException(uri + " does not exist");
  }

  /** A request to the file system, which may throw any exception. */
  @FunctionalInterface
  private interface Request<T> {
    T run() throws IOException;
  }

  /** Runs a request, and turns any failure into an IOException that begins with the URI. */
  private static <T> T naming(String uri, Request<T> request) throws IOException {
    try {
      return request.run();
    } catch (UnusableCheckpointException e) {
      throw e;
    } catch (IOException | RuntimeException e) {
      throw new IOException("%s: %s".formatted(uri, message(e)), e);
    }
  }

  private static String message(Exception e) {
    for (Throwable cause = e; cause != null; cause = cause.getCause()) {
      if (String.valueOf(cause.getMessage()).contains("getSubject is not supported")) {
        return "this file system is built on a Hadoop that does not run on Java 24 or later; for"
            + " S3, use flink-s3-fs-native";
      }
    }
    return e.getMessage() == null ? e.toString() : e.getMessage();
  }

  /** A stream whose failures name the file. */
  private static final class RemoteInputStream extends InputStream {
    private final String uri;
    private final InputStream in;

    RemoteInputStream(String uri, InputStream in) {
      this.uri = uri;
      this.in = in;
    }

    @Override
    public int read() throws IOException {
      return naming(uri, in::read);
    }

    @Override
    public int read(byte[] buffer, int offset, int length) throws IOException {
      return naming(uri, () -> in.read(buffer, offset, length));
    }

    @Override
    public void close() throws IOException {
      in.close();
    }
  }
}
