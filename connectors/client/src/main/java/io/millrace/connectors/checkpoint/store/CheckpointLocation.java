package io.millrace.connectors.checkpoint.store;

import io.millrace.schemas.PlainFiles;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * The location of a checkpoint directory or of a directory of checkpoints: a local path, or a URI
 * of a {@link RemoteFileSystem}. Only this class interprets URI schemes.
 */
final class CheckpointLocation {
  /** How a directory becomes visible. */
  enum Publishing {
    /** On a local path, by one atomic rename. */
    LOCAL,
    /** On a distributed file system that renames a directory in one step, by that rename. */
    ATOMIC_RENAME,
    /** Without such a rename, by its manifest, which is written last. */
    MANIFEST_LAST
  }

  /**
   * The schemes of HDFS, which renames directories atomically. Object stores (s3, gs, abfs, oss, …)
   * have no directories. Writing the manifest last is correct on both, so it is the default for
   * unknown schemes.
   */
  private static final Set<String> ATOMIC = Set.of("hdfs", "viewfs", "webhdfs", "swebhdfs");

  // A scheme has at least two letters, because C:\ is a path.
  private static final Pattern URI_SCHEME = Pattern.compile("([A-Za-z][A-Za-z0-9+.-]+):(.*)");

  private final String text;
  private final Publishing publishing;

  private CheckpointLocation(String text, Publishing publishing) {
    this.text = text;
    this.publishing = publishing;
  }

  /**
   * Parses a path or a URI.
   *
   * @throws IllegalArgumentException for a malformed URI
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
            "checkpoint location is \"%s\"; write a file URI as file:///path".formatted(pathOrUri));
      }
      return new CheckpointLocation(path, Publishing.LOCAL);
    }
    if (!uri.group(2).startsWith("//")) {
      throw new IllegalArgumentException(
          "checkpoint location is \"%s\"; write the URI as %s://…".formatted(pathOrUri, scheme));
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

  /**
   * The local path.
   *
   * @throws IllegalArgumentException when the location is remote, or empty: Java would take that
   *     for the current directory
   */
  Path path() {
    if (text.isBlank()) {
      throw new IllegalArgumentException("the location of a checkpoint is empty; name a directory");
    }
    if (!isLocal()) {
      throw new IllegalArgumentException(
          "checkpoint location is \"%s\"; this needs a local directory".formatted(text));
    }
    return Path.of(text);
  }

  /** The directory above, as a normalized absolute path or a URI. */
  String parent() {
    String whole = normalized();
    return whole.substring(0, Math.max(0, whole.lastIndexOf('/')));
  }

  /**
   * Whether this location lies below another one. Local paths are compared with their symbolic
   * links resolved, as far as they exist; URIs with their dot segments removed.
   */
  boolean isUnder(CheckpointLocation root) {
    if (isLocal() != root.isLocal()) {
      return false;
    }
    if (isLocal()) {
      Path inside = real(path());
      return inside.startsWith(real(root.path())) && !inside.equals(real(root.path()));
    }
    URI inside = URI.create(text).normalize();
    URI outside = URI.create(root.text).normalize();
    // Percent signs may hide dots and slashes from one reader and not from another.
    return !text.contains("%")
        && Objects.equals(inside.getScheme(), outside.getScheme())
        && Objects.equals(inside.getAuthority(), outside.getAuthority())
        && !inside.getPath().contains("/../")
        && inside.getPath().startsWith(outside.getPath().replaceFirst("/*$", "/"));
  }

  private static Path real(Path path) {
    Path normalized = path.toAbsolutePath().normalize();
    for (Path existing = normalized; existing != null; existing = existing.getParent()) {
      try {
        return existing.toRealPath().resolve(existing.relativize(normalized)).normalize();
      } catch (IOException e) {
        // It does not exist, or cannot be read: its parent may.
      }
    }
    return normalized;
  }

  /** The last component of the path or URI. */
  String name() {
    String whole = normalized();
    return whole.substring(whole.lastIndexOf('/') + 1);
  }

  private String normalized() {
    return isLocal()
        ? path().toAbsolutePath().normalize().toString().replace(File.separatorChar, '/')
        : text;
  }

  /** The URI of a file or directory below a remote location. */
  String child(String name) {
    return text + "/" + name;
  }

  /** Opens a file of this directory. */
  InputStream open(String name) throws IOException {
    return isLocal()
        ? PlainFiles.open(path().resolve(name))
        : RemoteFiles.of(text).open(child(name));
  }

  /** The size of a file of this directory; empty when it does not exist. */
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
