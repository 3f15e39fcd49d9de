package io.millrace.connectors.checkpoint;

import java.io.IOException;
import java.io.Serializable;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.channels.FileChannel;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.HexFormat;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Checkpoint directories below one root, published in two phases.
 *
 * <pre>
 * root/name/.staging/v000007   staged: complete and on disk, visible to nobody who follows the rules
 * root/name/v000007            committed, by one atomic rename
 * </pre>
 *
 * <p>Both steps may be repeated: staging a version again replaces what was staged, committing it
 * again changes nothing. Old versions may be retired, by a {@link Retention}. The root is a
 * directory of this machine or of a file system mounted on all machines of the job.
 */
public final class CheckpointStore implements Serializable {
  private static final long serialVersionUID = 1L;

  /** The file that describes a checkpoint directory; its digest stands for the whole directory. */
  public static final String MANIFEST = "millrace.json";

  private static final String STAGING = ".staging";
  private static final String RETIRED = ".retired";
  private static final Pattern VERSION = Pattern.compile("v\\d{1,18}");

  private final String root;

  /**
   * @param root a path, or a URI with the scheme {@code file}
   * @throws IllegalArgumentException for any other scheme
   */
  public CheckpointStore(String root) {
    this.root = localPath(root).toAbsolutePath().normalize().toString();
  }

  /** Writes a checkpoint's files. */
  @FunctionalInterface
  public interface StagedWriter {
    /** Writes every file, millrace.json among them, into an empty directory. */
    void write(Path directory) throws IOException;
  }

  /**
   * Writes the files of one version and makes them durable, but not visible.
   *
   * @param name the model: letters, digits, '.', '_' and '-'
   * @throws IOException when writing fails or leaves no millrace.json; nothing is staged then
   */
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

  /** The highest version of a model that is visible; 0 where there is none. */
  public long latestVersion(String name) throws IOException {
    List<Long> versions = versions(name);
    return versions.isEmpty() ? 0 : versions.getLast();
  }

  /** The versions of a model that are visible, in ascending order. */
  List<Long> versions(String name) throws IOException {
    return versions(directory(name));
  }

  private static List<Long> versions(Path model) throws IOException {
    if (!Files.isDirectory(model)) {
      return List.of();
    }
    try (Stream<Path> children = Files.list(model)) {
      return children
          .map(child -> child.getFileName().toString())
          .filter(child -> VERSION.matcher(child).matches())
          .map(child -> Long.parseLong(child.substring(1)))
          .sorted()
          .toList();
    }
  }

  /**
   * Deletes a published version: out of sight by one atomic rename, so that nobody meets a part of
   * it, then for good.
   */
  void retire(String name, long version) throws IOException {
    Path retired = directory(name).resolve(RETIRED);
    // What an earlier attempt left.
    delete(retired);
    Files.createDirectories(retired);
    Files.move(
        directory(name, version),
        retired.resolve(versionName(version)),
        StandardCopyOption.ATOMIC_MOVE);
    delete(retired);
  }

  /**
   * Whether an announced checkpoint is gone since later versions have taken its place. False where
   * that cannot be told: to load it then tells why.
   */
  public static boolean isRetired(String uri) {
    try {
      Path directory = localPath(uri);
      Path version = directory.getFileName();
      if (Files.exists(directory)
          || version == null
          || !VERSION.matcher(version.toString()).matches()) {
        return false;
      }
      List<Long> left = versions(directory.resolveSibling("."));
      return !left.isEmpty() && left.getLast() > Long.parseLong(version.toString().substring(1));
    } catch (IOException | IllegalArgumentException e) {
      return false;
    }
  }

  /** Where a version is, or will be, visible. */
  public Path directory(String name, long version) {
    return directory(name).resolve(versionName(version));
  }

  /** The URI under which a version will be, or is, visible. */
  public String uri(String name, long version) {
    // Path.toUri() ends in a slash only for directories that exist; announcements shall not depend
    // on it.
    String uri = directory(name, version).toUri().toString();
    return uri.endsWith("/") ? uri.substring(0, uri.length() - 1) : uri;
  }

  /**
   * Makes staged files visible, all at once.
   *
   * @throws IOException when they are not those that were staged, or the version is published with
   *     other content
   */
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

  /**
   * The local directory of an announced checkpoint.
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
   * The local directory of an announced checkpoint, which holds what was announced.
   *
   * @param manifestSha256 SHA-256 of its millrace.json, from the announcement
   * @throws IOException when there is none, or its manifest is another
   */
  public static Path resolve(String uri, String manifestSha256) throws IOException {
    Path directory = resolve(uri);
    String digest = digest(directory);
    if (!digest.equals(manifestSha256)) {
      throw new IOException(
          "%s holds another checkpoint than was announced (manifest %s, not %s)"
              .formatted(directory, digest, manifestSha256));
    }
    return directory;
  }

  @Override
  public String toString() {
    return root;
  }

  private Path staged(String name, long version) {
    return directory(name).resolve(STAGING).resolve(versionName(version));
  }

  private Path directory(String name) {
    if (!name.matches("[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")) {
      throw new IllegalArgumentException(
          "model name \"%s\": it must be letters, digits, '.', '_' and '-', at most 128, and not start with '.' or '-'"
              .formatted(name));
    }
    return Path.of(root).resolve(name);
  }

  private static String versionName(long version) {
    if (version < 0) {
      throw new IllegalArgumentException("version is " + version + "; it must not be negative");
    }
    return "v%06d".formatted(version);
  }

  /**
   * The path that a location stands for.
   *
   * @throws IllegalArgumentException for a URI of any scheme but {@code file}
   */
  public static Path localPath(String pathOrUri) {
    if (!pathOrUri.matches("[A-Za-z][A-Za-z0-9+.-]+:.*")) {
      return Path.of(pathOrUri);
    }
    URI uri = URI.create(pathOrUri);
    if (!uri.getScheme().equals("file")) {
      throw new IllegalArgumentException(
          "checkpoint location %s: only paths and file: URIs are supported; mount the store on every machine"
              .formatted(pathOrUri));
    }
    return Path.of(uri.getPath());
  }

  private static String digest(Path directory) throws IOException {
    Path manifest = directory.resolve(MANIFEST);
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
  private static void sync(Path tree) throws IOException {
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
