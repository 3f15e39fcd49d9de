package io.millrace.connectors.checkpoint;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * A directory of checkpoints, or one of them: a path of this machine, or a URI of any file system
 * that Flink has. What a scheme means is decided here and nowhere else.
 */
final class CheckpointLocation {
  /** How a directory becomes visible. */
  enum Publishing {
    /** This machine's own files: one atomic rename. */
    LOCAL,
    /** A file system of many machines that renames a directory in one step. */
    ATOMIC_RENAME,
    /** No such rename: a directory is visible when its manifest is, which is written last. */
    MANIFEST_LAST
  }

  /**
   * Renames of directories are atomic in HDFS, whichever way it is reached. Object stores (s3, gs,
   * abfs, oss, …) have no directories. To write the manifest last is right on both, so that is what
   * a scheme gets that is not known.
   */
  private static final Set<String> ATOMIC = Set.of("hdfs", "viewfs", "webhdfs", "swebhdfs");

  // Of two letters at least: C:\ is a path.
  private static final Pattern URI_SCHEME = Pattern.compile("([A-Za-z][A-Za-z0-9+.-]+):(.*)");

  private final String text;
  private final Publishing publishing;

  private CheckpointLocation(String text, Publishing publishing) {
    this.text = text;
    this.publishing = publishing;
  }

  /**
   * @throws IllegalArgumentException when it looks like a URI and is none
   */
  static CheckpointLocation of(String pathOrUri) {
    var uri = URI_SCHEME.matcher(pathOrUri);
    if (!uri.matches()) {
      return new CheckpointLocation(pathOrUri, Publishing.LOCAL);
    }
    String scheme = uri.group(1).toLowerCase(Locale.ROOT);
    if (scheme.equals("file")) {
      String path = URI.create(pathOrUri).getPath();
      if (path == null) {
        throw new IllegalArgumentException(
            "checkpoint location %s: a file URI is written file:///path".formatted(pathOrUri));
      }
      return new CheckpointLocation(path, Publishing.LOCAL);
    }
    if (!uri.group(2).startsWith("//")) {
      throw new IllegalArgumentException(
          "checkpoint location %s: a URI is written %s://…".formatted(pathOrUri, scheme));
    }
    return new CheckpointLocation(
        pathOrUri.replaceFirst("(?<=[^/])/+$", ""),
        ATOMIC.contains(scheme) ? Publishing.ATOMIC_RENAME : Publishing.MANIFEST_LAST);
  }

  Publishing publishing() {
    return publishing;
  }

  boolean isLocal() {
    return publishing == Publishing.LOCAL;
  }

  /** The path of this machine. */
  Path path() {
    if (!isLocal()) {
      throw new IllegalArgumentException(
          "checkpoint location %s: a directory of this machine is needed".formatted(text));
    }
    return Path.of(text);
  }

  /** What it is in, however that was spelled. */
  String parent() {
    String whole = whole();
    return whole.substring(0, Math.max(0, whole.lastIndexOf('/')));
  }

  /** Its own name in there. */
  String name() {
    String whole = whole();
    return whole.substring(whole.lastIndexOf('/') + 1);
  }

  private String whole() {
    return isLocal()
        ? path().toAbsolutePath().normalize().toString().replace(File.separatorChar, '/')
        : text;
  }

  /** The URI of something below; not for local ones. */
  String child(String name) {
    return text + "/" + name;
  }

  /** Reads a file of this directory. */
  InputStream open(String name) throws IOException {
    return isLocal()
        ? Files.newInputStream(path().resolve(name))
        : RemoteFiles.of(text).open(child(name));
  }

  /** The size of a file of this directory; empty where there is none. */
  Optional<Long> size(String name) throws IOException {
    if (!isLocal()) {
      return RemoteFiles.of(text).size(child(name));
    }
    try {
      return Optional.of(Files.size(path().resolve(name)));
    } catch (NoSuchFileException e) {
      return Optional.empty();
    }
  }

  @Override
  public String toString() {
    return text;
  }
}
