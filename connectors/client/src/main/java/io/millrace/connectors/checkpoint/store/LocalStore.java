package io.millrace.connectors.checkpoint.store;

import io.millrace.connectors.checkpoint.store.CheckpointStore.StagedWriter;
import io.millrace.schemas.PlainFiles;
import io.millrace.schemas.Sha256;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.stream.Stream;

/**
 * A store in a local directory, or in one that is mounted on all machines of a job.
 *
 * <pre>
 * root/name/.staging/v000007   staged: complete and on disk
 * root/name/v000007            committed, by one atomic rename
 * </pre>
 */
final class LocalStore extends Storage {
  private static final String STAGING = ".staging";
  private static final String RETIRED = ".retired";

  private final Path root;

  LocalStore(Path root) {
    this.root = root;
  }

  @Override
  StagedFiles stage(String name, long version, StagedWriter writer) throws IOException {
    Path staged = staged(name, version);
    Path work = staged.resolveSibling(staged.getFileName() + ".writing");
    Directories.delete(work);
    Files.createDirectories(work);
    try {
      writer.write(work);
      String digest = Sha256.of(manifest(work));
      Directories.sync(work);
      Directories.delete(staged);
      Files.move(work, staged, StandardCopyOption.ATOMIC_MOVE);
      Directories.syncDirectory(staged.getParent());
      return new StagedFiles(name, version, staged.toUri().toString(), uri(name, version), digest);
    } catch (IOException | RuntimeException e) {
      Directories.delete(work);
      throw e;
    }
  }

  @Override
  Optional<byte[]> publishedManifest(String name, long version) throws IOException {
    return manifestIfExists(directory(name, version));
  }

  @Override
  Optional<byte[]> stagedManifest(StagedFiles files) throws IOException {
    return manifestIfExists(staged(files.name(), files.version()));
  }

  private static Optional<byte[]> manifestIfExists(Path directory) throws IOException {
    return Files.exists(directory) ? Optional.of(manifest(directory)) : Optional.empty();
  }

  @Override
  void publish(StagedFiles files, byte[] manifest) throws IOException {
    Path published = directory(files.name(), files.version());
    Files.move(staged(files.name(), files.version()), published, StandardCopyOption.ATOMIC_MOVE);
    Directories.syncDirectory(published.getParent());
  }

  @Override
  void deleteStaged(StagedFiles files) throws IOException {
    Directories.delete(staged(files.name(), files.version()));
  }

  @Override
  long latestVersion(String name) throws IOException {
    List<Long> versions = versions(name);
    return versions.isEmpty() ? 0 : versions.getLast();
  }

  @Override
  List<Long> versions(String name) throws IOException {
    return versions(directory(name));
  }

  private static List<Long> versions(Path model) throws IOException {
    if (!Files.isDirectory(model)) {
      return List.of();
    }
    try (Stream<Path> children = Files.list(model)) {
      return children
          .map(child -> CheckpointStore.versionOf(child.getFileName().toString()))
          .flatMapToLong(OptionalLong::stream)
          .sorted()
          .boxed()
          .toList();
    }
  }

  /** One atomic rename hides the version; then its files are deleted. */
  @Override
  void retire(String name, long version) throws IOException {
    Path retired = directory(name).resolve(RETIRED);
    // An interrupted retirement leaves files here.
    Directories.delete(retired);
    Files.createDirectories(retired);
    Files.move(
        directory(name, version),
        retired.resolve(CheckpointStore.versionName(version)),
        StandardCopyOption.ATOMIC_MOVE);
    Directories.delete(retired);
  }

  @Override
  void sweep(String name) {
    // The next retirement deletes the remains of an interrupted one.
  }

  @Override
  Instant writtenAt(String name, long version) throws IOException {
    Path manifest = directory(name, version).resolve(CheckpointStore.MANIFEST);
    return Files.getLastModifiedTime(manifest).toInstant();
  }

  @Override
  boolean isAt(String location, String name, long version) throws IOException {
    CheckpointLocation other = CheckpointLocation.of(location);
    return other.isLocal()
        && Files.exists(other.path())
        && Files.isSameFile(other.path(), directory(name, version));
  }

  /** {@link CheckpointStore#isRetired} for a local directory. */
  static boolean isRetired(Path directory) throws IOException {
    Path name = directory.getFileName();
    if (Files.exists(directory) || name == null) {
      return false;
    }
    OptionalLong version = CheckpointStore.versionOf(name.toString());
    if (version.isEmpty()) {
      return false;
    }
    List<Long> remaining = versions(directory.resolveSibling("."));
    return !remaining.isEmpty() && remaining.getLast() > version.getAsLong();
  }

  Path directory(String name, long version) {
    return directory(name).resolve(CheckpointStore.versionName(version));
  }

  @Override
  String uri(String name, long version) {
    // Path.toUri() ends in a slash only for a directory that exists. The URI must not depend on it.
    String uri = directory(name, version).toUri().toString();
    return uri.endsWith("/") ? uri.substring(0, uri.length() - 1) : uri;
  }

  private Path staged(String name, long version) {
    return directory(name).resolve(STAGING).resolve(CheckpointStore.versionName(version));
  }

  private Path directory(String name) {
    return root.resolve(CheckpointStore.checkedName(name));
  }

  /**
   * The content of a directory's manifest.
   *
   * @throws IOException when there is none
   */
  static byte[] manifest(Path directory) throws IOException {
    Path manifest = directory.resolve(CheckpointStore.MANIFEST);
    try {
      return PlainFiles.read(manifest, CheckpointStore.MAX_MANIFEST_BYTES);
    } catch (NoSuchFileException e) {
      throw new IOException(
          "a checkpoint needs a manifest, and %s is missing".formatted(manifest), e);
    }
  }
}
