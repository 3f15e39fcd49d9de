package io.millrace.connectors.checkpoint;

import io.millrace.connectors.checkpoint.CheckpointStore.StagedWriter;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.time.Instant;
import java.util.HexFormat;
import java.util.List;
import java.util.OptionalLong;
import java.util.stream.Stream;

/**
 * A directory of this machine, or one that is mounted on all machines of a job.
 *
 * <pre>
 * root/name/.staging/v000007   staged: complete and on disk
 * root/name/v000007            committed, by one atomic rename
 * </pre>
 */
final class LocalStore implements Storage {
  private static final String STAGING = ".staging";
  private static final String RETIRED = ".retired";

  private final Path root;

  LocalStore(Path root) {
    this.root = root;
  }

  @Override
  public StagedFiles stage(String name, long version, StagedWriter writer) throws IOException {
    Path staged = staged(name, version);
    Path work = staged.resolveSibling(staged.getFileName() + ".writing");
    delete(work);
    Files.createDirectories(work);
    try {
      writer.write(work);
      String digest = digest(work);
      sync(work);
      delete(staged);
      Files.move(work, staged, StandardCopyOption.ATOMIC_MOVE);
      syncDirectory(staged.getParent());
      return new StagedFiles(name, version, staged.toUri().toString(), uri(name, version), digest);
    } catch (IOException | RuntimeException e) {
      delete(work);
      throw e;
    }
  }

  @Override
  public long latestVersion(String name) throws IOException {
    List<Long> versions = versions(name);
    return versions.isEmpty() ? 0 : versions.getLast();
  }

  @Override
  public List<Long> versions(String name) throws IOException {
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

  /** Out of sight by one atomic rename, then gone for good. */
  @Override
  public void retire(String name, long version) throws IOException {
    Path retired = directory(name).resolve(RETIRED);
    // What an earlier attempt left.
    delete(retired);
    Files.createDirectories(retired);
    Files.move(
        directory(name, version),
        retired.resolve(CheckpointStore.versionName(version)),
        StandardCopyOption.ATOMIC_MOVE);
    delete(retired);
  }

  @Override
  public void sweep(String name) {
    // The next retirement deletes what is left of an earlier one.
  }

  @Override
  public Instant writtenAt(String name, long version) throws IOException {
    Path manifest = directory(name, version).resolve(CheckpointStore.MANIFEST);
    return Files.getLastModifiedTime(manifest).toInstant();
  }

  @Override
  public boolean isAt(String location, String name, long version) throws IOException {
    CheckpointLocation other = CheckpointLocation.of(location);
    return other.isLocal()
        && Files.exists(other.path())
        && Files.isSameFile(other.path(), directory(name, version));
  }

  /** As {@link CheckpointStore#isRetired}, for a directory of this machine. */
  static boolean isRetired(Path directory) throws IOException {
    Path name = directory.getFileName();
    if (Files.exists(directory) || name == null) {
      return false;
    }
    OptionalLong version = CheckpointStore.versionOf(name.toString());
    if (version.isEmpty()) {
      return false;
    }
    List<Long> left = versions(directory.resolveSibling("."));
    return !left.isEmpty() && left.getLast() > version.getAsLong();
  }

  Path directory(String name, long version) {
    return directory(name).resolve(CheckpointStore.versionName(version));
  }

  @Override
  public String uri(String name, long version) {
    // Path.toUri() ends in a slash only for directories that exist; announcements shall not depend
    // on it.
    String uri = directory(name, version).toUri().toString();
    return uri.endsWith("/") ? uri.substring(0, uri.length() - 1) : uri;
  }

  @Override
  public void commit(StagedFiles files) throws IOException {
    Path staged = staged(files.name(), files.version());
    Path published = directory(files.name(), files.version());
    if (Files.exists(published)) {
      String digest = digest(published);
      if (!digest.equals(files.manifestSha256())) {
        throw new IOException(
            "%s is already published with other content (manifest %s, not %s); choose another model name or checkpoint root"
                .formatted(published, digest, files.manifestSha256()));
      }
      delete(staged);
      return;
    }
    if (!Files.exists(staged)) {
      if (latestVersion(files.name()) > files.version()) {
        // A job that resumes from an old savepoint comes by what was published and retired since.
        return;
      }
      throw new IOException(
          "%s is neither staged nor published; was the checkpoint root moved or cleaned?"
              .formatted(published));
    }
    String digest = digest(staged);
    if (!digest.equals(files.manifestSha256())) {
      throw new IOException(
          "%s holds other content than was staged (manifest %s, not %s); two jobs must not publish one model name"
              .formatted(staged, digest, files.manifestSha256()));
    }
    Files.move(staged, published, StandardCopyOption.ATOMIC_MOVE);
    syncDirectory(published.getParent());
  }

  private Path staged(String name, long version) {
    return directory(name).resolve(STAGING).resolve(CheckpointStore.versionName(version));
  }

  private Path directory(String name) {
    return root.resolve(CheckpointStore.checkedName(name));
  }

  /** SHA-256 of a directory's manifest. */
  static String digest(Path directory) throws IOException {
    Path manifest = directory.resolve(CheckpointStore.MANIFEST);
    byte[] content;
    try {
      content = Files.readAllBytes(manifest);
    } catch (NoSuchFileException e) {
      throw new IOException("a checkpoint needs a manifest, and there is none at " + manifest, e);
    }
    return HexFormat.of().formatHex(PublishedFiles.sha256().digest(content));
  }

  /**
   * Forces a tree to disk: the Flink checkpoint that covers it must not outlive it in a power cut.
   */
  static void sync(Path tree) throws IOException {
    try (var entries = Files.walk(tree)) {
      entries.forEach(
          entry -> {
            try {
              if (Files.isDirectory(entry)) {
                syncDirectory(entry);
              } else {
                try (FileChannel file = FileChannel.open(entry, StandardOpenOption.WRITE)) {
                  file.force(true);
                }
              }
            } catch (IOException e) {
              throw new UncheckedIOException(e);
            }
          });
    } catch (UncheckedIOException e) {
      throw e.getCause();
    }
  }

  private static void syncDirectory(Path directory) throws IOException {
    try (FileChannel channel = FileChannel.open(directory, StandardOpenOption.READ)) {
      channel.force(true);
    }
  }

  static void delete(Path tree) throws IOException {
    if (!Files.exists(tree)) {
      return;
    }
    Files.walkFileTree(
        tree,
        new SimpleFileVisitor<>() {
          @Override
          public FileVisitResult visitFile(Path file, BasicFileAttributes attributes)
              throws IOException {
            Files.delete(file);
            return FileVisitResult.CONTINUE;
          }

          @Override
          public FileVisitResult postVisitDirectory(Path directory, IOException failure)
              throws IOException {
            if (failure != null) {
              throw failure;
            }
            Files.delete(directory);
            return FileVisitResult.CONTINUE;
          }
        });
  }
}
