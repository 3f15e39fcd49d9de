package io.millrace.connectors.checkpoint.store;

import io.millrace.schemas.PlainFiles;
import io.millrace.schemas.Sha256;
import java.io.IOException;
import java.io.InputStream;
import java.io.Serializable;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Instant;
import java.util.List;
import java.util.OptionalLong;
import java.util.UUID;
import java.util.regex.Pattern;

/**
 * Checkpoint directories below one root, published in two phases.
 *
 * <pre>
 * root/name/.staging/v000007   staged: complete and durable; readers do not look here
 * root/name/v000007            committed: visible
 * </pre>
 *
 * <p>Both steps may be repeated. Staging a version again replaces its staged files; committing it
 * again changes nothing. A {@link Retention} decides which old versions are retired.
 *
 * <p>The root is a path or a URI. A path is a local directory, or one mounted on all machines of
 * the job; there a version becomes visible by one atomic rename ({@link LocalStore}). A URI names a
 * file system that a {@link RemoteFileSystemFactory} knows, such as all of Flink's ({@link
 * RemoteStore}). On object stores a version is visible while it has its manifest, {@code
 * millrace.json}, which is written last and deleted first.
 */
public final class CheckpointStore implements Serializable {
  private static final long serialVersionUID = 2L;

  /** The file that describes a checkpoint directory and lists the digests of its other files. */
  public static final String MANIFEST = "millrace.json";

  /** Most bytes of a manifest. */
  static final int MAX_MANIFEST_BYTES = 64 << 20;

  private static final Pattern VERSION = Pattern.compile("v\\d{1,18}");
  private static final Pattern NAME = Pattern.compile("[A-Za-z0-9_][A-Za-z0-9._-]{0,127}");

  private final String root;
  private final String scratch;
  private transient Storage storage;

  /**
   * A store whose scratch directory lies in Java's temporary directory.
   *
   * @param root a path or a URI
   */
  public CheckpointStore(String root) {
    this(root, Path.of(System.getProperty("java.io.tmpdir"), "millrace").toString());
  }

  /**
   * @param root a path or a URI
   * @param scratch a local directory with room for a checkpoint that is being uploaded
   */
  public CheckpointStore(String root, String scratch) {
    CheckpointLocation location = CheckpointLocation.of(root);
    this.root =
        location.isLocal()
            ? location.path().toAbsolutePath().normalize().toString()
            : location.toString();
    this.scratch = scratch;
  }

  private synchronized Storage storage() {
    if (storage == null) {
      CheckpointLocation location = CheckpointLocation.of(root);
      storage =
          location.isLocal()
              ? new LocalStore(location.path())
              : new RemoteStore(location, Path.of(scratch));
    }
    return storage;
  }

  private RemoteStore remote() {
    if (storage() instanceof RemoteStore remote) {
      return remote;
    }
    throw new IllegalStateException(
        "checkpoint root %s is a local directory; this needs a URI".formatted(root));
  }

  /** Writes a checkpoint's files. */
  @FunctionalInterface
  public interface StagedWriter {
    /** Writes every file, including millrace.json, into an empty local directory. */
    void write(Path directory) throws IOException;
  }

  /** Writes a single file. */
  @FunctionalInterface
  public interface FileWriter {
    /** Writes a local file that does not exist yet. */
    void write(Path file) throws IOException;
  }

  /**
   * Writes the files of one version and makes them durable, but not visible.
   *
   * @param name the model: letters, digits, '.', '_' and '-'
   * @throws IOException when the writer fails or writes no millrace.json; nothing is staged then
   */
  public StagedFiles stage(String name, long version, StagedWriter writer) throws IOException {
    return storage().stage(name, version, writer);
  }

  /**
   * Makes staged files visible, all at once.
   *
   * @throws IOException when the staged files are missing or changed, or the version is published
   *     with other content
   */
  public void commit(StagedFiles files) throws IOException {
    storage().commit(files);
  }

  /**
   * Creates a directory without versions in a remote store, completely or not at all. A directory
   * that exists stays unchanged.
   *
   * @param path below the root, such as {@code initial/tiny}
   * @return the directory's URI
   */
  public String create(String path, StagedWriter writer) throws IOException {
    return remote().create(path, writer);
  }

  /**
   * Writes a single file to a remote store, completely or not at all. It replaces a file that
   * exists.
   *
   * @param path below the root
   */
  public void put(String path, FileWriter writer) throws IOException {
    remote().put(path, writer);
  }

  /** Opens a local or remote file. */
  public static InputStream read(String pathOrUri) throws IOException {
    CheckpointLocation location = CheckpointLocation.of(pathOrUri);
    return location.isLocal()
        ? PlainFiles.open(location.path())
        : RemoteFiles.of(pathOrUri).open(pathOrUri);
  }

  /** The highest visible version of a model; 0 when there is none. */
  public long latestVersion(String name) throws IOException {
    return storage().latestVersion(name);
  }

  /** The visible versions of a model, in ascending order. */
  public List<Long> versions(String name) throws IOException {
    return storage().versions(name);
  }

  /** Deletes a published version. A reader sees the whole version or none of it. */
  void retire(String name, long version) throws IOException {
    storage().retire(name, version);
  }

  /** Deletes the files that an interrupted {@link #retire} left behind. */
  void sweep(String name) throws IOException {
    storage().sweep(name);
  }

  /** The time at which a visible version was written. */
  Instant writtenAt(String name, long version) throws IOException {
    return storage().writtenAt(name, version);
  }

  /** Whether a location is that of a version, in any spelling. */
  boolean isAt(String location, String name, long version) throws IOException {
    return storage().isAt(location, name, version);
  }

  /**
   * The directory of a version in a local store. It exists while the version is visible.
   *
   * @throws IllegalStateException when the store is remote
   */
  public Path directory(String name, long version) {
    if (storage() instanceof LocalStore local) {
      return local.directory(name, version);
    }
    throw new IllegalStateException(
        "checkpoint root %s is not a local directory; ask for the URI of version %d instead"
            .formatted(root, version));
  }

  /** The URI of a version, visible or not. */
  public String uri(String name, long version) {
    return storage().uri(name, version);
  }

  /**
   * Whether an announced checkpoint was deleted after later versions had replaced it. False when
   * the store cannot answer; loading the checkpoint then fails with the reason.
   */
  public static boolean isRetired(String uri) {
    try {
      CheckpointLocation location = CheckpointLocation.of(uri);
      return location.isLocal()
          ? LocalStore.isRetired(location.path())
          : RemoteStore.isRetired(location);
    } catch (IOException | IllegalArgumentException e) {
      return false;
    }
  }

  /**
   * Whether a location holds an earlier version than another location, of the same model in the
   * same store. Versions of different models or stores have no order. Neither has a directory that
   * is no version.
   */
  public static boolean isEarlier(String uri, String than) {
    CheckpointLocation one = CheckpointLocation.of(uri);
    CheckpointLocation other = CheckpointLocation.of(than);
    OptionalLong version = versionOf(one.name());
    OptionalLong later = versionOf(other.name());
    return version.isPresent()
        && later.isPresent()
        && version.getAsLong() < later.getAsLong()
        && one.parent().equals(other.parent());
  }

  /**
   * Whether a location lies below a root, both normalized. Names such as {@code ..} and symbolic
   * links do not lead out of the root.
   */
  public static boolean isUnder(String root, String pathOrUri) {
    try {
      return CheckpointLocation.of(pathOrUri).isUnder(CheckpointLocation.of(root));
    } catch (IllegalArgumentException e) {
      return false;
    }
  }

  /** Whether a location is a local path or a {@code file:} URI. */
  public static boolean isLocal(String pathOrUri) {
    return CheckpointLocation.of(pathOrUri).isLocal();
  }

  /**
   * Checks that files can be created below a location, by creating one.
   *
   * @throws IOException with the reason why they cannot
   */
  public static void requireWritable(String pathOrUri) throws IOException {
    CheckpointLocation location = CheckpointLocation.of(pathOrUri);
    if (location.isLocal()) {
      Files.createDirectories(location.path());
      if (!Files.isWritable(location.path())) {
        throw new AccessDeniedException(pathOrUri, null, "it is not writable");
      }
      return;
    }
    String probe = location.child(".probe-" + UUID.randomUUID());
    RemoteFiles files = RemoteFiles.of(pathOrUri);
    files.write(probe, new byte[] {'?'});
    files.delete(probe);
  }

  /**
   * The directory of a local checkpoint. For a remote one, use {@link CheckpointCache}.
   *
   * @throws IOException when there is no such directory
   */
  public static Path resolve(String uri) throws IOException {
    Path path = localPath(uri);
    if (!Files.isDirectory(path)) {
      throw new NoSuchFileException(
          uri, null, "no such checkpoint directory on this machine; is the store mounted here?");
    }
    return path;
  }

  /**
   * The directory of a local checkpoint, after a check that it holds what was announced.
   *
   * @param manifestSha256 SHA-256 of its millrace.json, from the announcement
   * @throws IOException when there is no such directory, or its manifest has another digest
   */
  public static Path resolve(String uri, String manifestSha256) throws IOException {
    Path directory = resolve(uri);
    String digest = Sha256.of(LocalStore.manifest(directory));
    PublishedFiles.requireAnnounced(directory.toString(), digest, manifestSha256);
    return directory;
  }

  /**
   * Copies a published checkpoint to a local directory, which appears by one atomic rename. The
   * copy replaces a directory that exists.
   *
   * @param uri a path or a URI
   * @param manifestSha256 SHA-256 of its millrace.json, from the announcement
   * @param target the new directory
   * @return the target
   * @throws UnusableCheckpointException when a file is missing or has another digest than announced
   * @throws IOException when a file cannot be read or written
   */
  public static Path copy(String uri, String manifestSha256, Path target) throws IOException {
    CheckpointLocation source = CheckpointLocation.of(uri);
    Path work = target.resolveSibling(target.getFileName() + ".copying");
    Directories.delete(work);
    try {
      PublishedFiles.copy(source, work, manifestSha256);
    } catch (IOException e) {
      Directories.delete(work);
      throw e;
    }
    Directories.delete(target);
    return Files.move(work, target, StandardCopyOption.ATOMIC_MOVE);
  }

  /**
   * The local path of a location.
   *
   * @throws IllegalArgumentException for a URI of any scheme but {@code file}
   */
  public static Path localPath(String pathOrUri) {
    return CheckpointLocation.of(pathOrUri).path();
  }

  @Override
  public String toString() {
    return root;
  }

  static String checkedName(String name) {
    if (!NAME.matcher(name).matches()) {
      throw new IllegalArgumentException(
          "model name is \"%s\"; it must have 1 to 128 letters, digits, '.', '_' and '-', and not start with '.' or '-'"
              .formatted(name));
    }
    return name;
  }

  static String versionName(long version) {
    if (version < 0) {
      throw new IllegalArgumentException("version is " + version + "; it must not be negative");
    }
    return "v%06d".formatted(version);
  }

  /** The version that a directory's name stands for; empty for any other name. */
  static OptionalLong versionOf(String directoryName) {
    return VERSION.matcher(directoryName).matches()
        ? OptionalLong.of(Long.parseLong(directoryName.substring(1)))
        : OptionalLong.empty();
  }
}
