package io.millrace.connectors.checkpoint;

import java.io.IOException;
import java.io.InputStream;
import java.io.Serializable;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.OptionalLong;
import java.util.UUID;
import java.util.regex.Pattern;

/**
 * Checkpoint directories below one root, published in two phases.
 *
 * <pre>
 * root/name/.staging/v000007   staged: complete and durable, visible to nobody who follows the rules
 * root/name/v000007            committed
 * </pre>
 *
 * <p>Both steps may be repeated: staging a version again replaces what was staged, committing it
 * again changes nothing. Old versions may be retired, by a {@link Retention}.
 *
 * <p>The root is a directory of this machine, or one mounted on all machines of the job, where a
 * version becomes visible by one atomic rename ({@link LocalStore}); or a URI of any file system
 * that Flink has ({@link RemoteStore}). On object stores the manifest, {@code millrace.json}, is
 * what makes a version visible: it is written last and deleted first, and a directory without one
 * is no version.
 */
public final class CheckpointStore implements Serializable {
  private static final long serialVersionUID = 2L;

  /** The file that describes a checkpoint directory; its digest stands for the whole directory. */
  public static final String MANIFEST = "millrace.json";

  private static final Pattern VERSION = Pattern.compile("v\\d{1,18}");
  private static final Pattern NAME = Pattern.compile("[A-Za-z0-9_][A-Za-z0-9._-]{0,127}");

  private final String root;
  private final String scratch;
  private transient Storage storage;

  /**
   * A store whose files are written in Java's temporary directory before they go to another
   * machine.
   *
   * @param root a path, or a URI
   */
  public CheckpointStore(String root) {
    this(root, Path.of(System.getProperty("java.io.tmpdir"), "millrace").toString());
  }

  /**
   * @param root a path, or a URI
   * @param scratch directory of this machine with room for a checkpoint on its way to another
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

  /** Writes a checkpoint's files. */
  @FunctionalInterface
  public interface StagedWriter {
    /** Writes every file, millrace.json among them, into an empty directory of this machine. */
    void write(Path directory) throws IOException;
  }

  /** Writes a single file. */
  @FunctionalInterface
  public interface FileWriter {
    /** Writes a file of this machine, which is not there yet. */
    void write(Path file) throws IOException;
  }

  /**
   * Writes the files of one version and makes them durable, but not visible.
   *
   * @param name the model: letters, digits, '.', '_' and '-'
   * @throws IOException when writing fails or leaves no millrace.json; nothing is staged then
   */
  public StagedFiles stage(String name, long version, StagedWriter writer) throws IOException {
    return storage().stage(name, version, writer);
  }

  /**
   * Makes staged files visible, all at once.
   *
   * @throws IOException when they are not those that were staged, or the version is published with
   *     other content
   */
  public void commit(StagedFiles files) throws IOException {
    storage().commit(files);
  }

  /**
   * Makes a directory that has no versions, whole or not at all, in a store of another machine;
   * where it is there already it stays as it is.
   *
   * @param path below the root, such as {@code initial/tiny}
   * @return its URI
   */
  public String create(String path, StagedWriter writer) throws IOException {
    if (storage() instanceof RemoteStore remote) {
      return remote.create(path, writer);
    }
    throw new IllegalStateException(root + " is a directory of this machine");
  }

  /**
   * Puts a single file into a store of another machine, whole or not at all, in place of one that
   * is there.
   *
   * @param path below the root
   */
  public void put(String path, FileWriter writer) throws IOException {
    if (!(storage() instanceof RemoteStore remote)) {
      throw new IllegalStateException(root + " is a directory of this machine");
    }
    remote.put(path, writer);
  }

  /** Reads a file of any place. */
  public static InputStream read(String pathOrUri) throws IOException {
    CheckpointLocation location = CheckpointLocation.of(pathOrUri);
    return location.isLocal()
        ? Files.newInputStream(location.path())
        : RemoteFiles.of(pathOrUri).open(pathOrUri);
  }

  /** The highest version of a model that is visible; 0 where there is none. */
  public long latestVersion(String name) throws IOException {
    return storage().latestVersion(name);
  }

  /** The versions of a model that are visible, in ascending order. */
  List<Long> versions(String name) throws IOException {
    return storage().versions(name);
  }

  /** Deletes a published version, of which nobody meets a part. */
  void retire(String name, long version) throws IOException {
    storage().retire(name, version);
  }

  /** Deletes what retirements that were cut off left. */
  void sweep(String name) throws IOException {
    storage().sweep(name);
  }

  /** When a visible version was written. */
  Instant writtenAt(String name, long version) throws IOException {
    return storage().writtenAt(name, version);
  }

  /** Whether a location is that of a version, however it is spelled. */
  boolean isAt(String location, String name, long version) throws IOException {
    return storage().isAt(location, name, version);
  }

  /** Where a version is, or will be, visible in a store of this machine. */
  public Path directory(String name, long version) {
    if (storage() instanceof LocalStore local) {
      return local.directory(name, version);
    }
    throw new IllegalStateException(root + " is not a directory of this machine");
  }

  /** The URI under which a version will be, or is, visible. */
  public String uri(String name, long version) {
    return storage().uri(name, version);
  }

  /**
   * Whether an announced checkpoint is gone since later versions have taken its place. False where
   * that cannot be told: to load it then tells why.
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
   * Whether a version is an earlier one of the same model in the same store. Versions of different
   * stores or models have no order, nor have directories that are no versions.
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

  /** Whether a location is a path of this machine or a {@code file:} URI. */
  public static boolean isLocal(String pathOrUri) {
    return CheckpointLocation.of(pathOrUri).isLocal();
  }

  /**
   * Makes sure that files can be made below a location, by making one.
   *
   * @throws IOException telling why they cannot
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
   * The directory of a checkpoint of this machine; {@link CheckpointCache} has those of others.
   *
   * @throws IOException when there is none
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
   * The directory of a checkpoint of this machine, which holds what was announced.
   *
   * @param manifestSha256 SHA-256 of its millrace.json, from the announcement
   * @throws IOException when there is none, or its manifest is another
   */
  public static Path resolve(String uri, String manifestSha256) throws IOException {
    Path directory = resolve(uri);
    String digest = LocalStore.digest(directory);
    if (!digest.equals(manifestSha256)) {
      throw new IOException(
          "%s holds another checkpoint than was announced (manifest %s, not %s)"
              .formatted(directory, digest, manifestSha256));
    }
    return directory;
  }

  /**
   * The path that a location stands for.
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
          "model name \"%s\": it must be letters, digits, '.', '_' and '-', at most 128, and not start with '.' or '-'"
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

  /** The version that a directory's name stands for. */
  static OptionalLong versionOf(String directoryName) {
    return VERSION.matcher(directoryName).matches()
        ? OptionalLong.of(Long.parseLong(directoryName.substring(1)))
        : OptionalLong.empty();
  }
}
