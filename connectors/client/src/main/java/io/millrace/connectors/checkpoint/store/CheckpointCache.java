package io.millrace.connectors.checkpoint.store;

import io.millrace.schemas.Sha256;
import java.io.IOException;
import java.io.InputStream;
import java.io.Serializable;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Opens checkpoints at any location as local directories, because weights are mapped into memory.
 *
 * <p>A local checkpoint is used in place. A remote one is copied once, for all tasks and processes
 * of the machine. The copy is checked against the digests of its manifest and kept under the
 * manifest's own digest. When the copies exceed the bound, the least recently used ones are
 * deleted.
 */
public final class CheckpointCache implements Serializable {
  private static final long serialVersionUID = 1L;
  private static final Logger LOG = LoggerFactory.getLogger(CheckpointCache.class);

  /** The files that are copied from a checkpoint without a manifest, which another tool wrote. */
  private static final Pattern MODEL_FILE =
      Pattern.compile(
          "[A-Za-z0-9_][A-Za-z0-9._-]*\\.(json|jinja|model|txt|md|safetensors)"
              + "|(?i:licen[cs]e|copying|notice)");

  private static final String WEIGHTS = ".safetensors";

  private final String directory;
  private final long maxBytes;

  /**
   * @param directory the local directory for copies
   * @param maxBytes the bound for all copies together; copies in use may exceed it
   */
  public CheckpointCache(String directory, long maxBytes) {
    this.directory = directory;
    this.maxBytes = maxBytes;
  }

  /** Opens a checkpoint whose manifest's digest is not known. */
  public LocalCheckpoint open(String uri) throws IOException {
    return open(uri, Optional.empty(), _ -> true, "");
  }

  /**
   * Opens a checkpoint.
   *
   * @param manifestSha256 SHA-256 of its millrace.json, from the announcement
   * @throws UnusableCheckpointException when the checkpoint is missing or differs from the
   *     announcement
   * @throws IOException when a file cannot be read or written
   */
  public LocalCheckpoint open(String uri, String manifestSha256) throws IOException {
    return open(uri, Optional.of(manifestSha256), _ -> true, "");
  }

  /**
   * Opens a checkpoint without its weights, whose manifest's digest is not known. A local directory
   * contains the weights all the same.
   */
  public LocalCheckpoint openDescription(String uri) throws IOException {
    return open(uri, Optional.empty(), CheckpointCache::isDescription, "-description");
  }

  /**
   * Opens a checkpoint without its weights, after a check that the weight files exist with the
   * sizes of the manifest. A local directory contains the weights all the same.
   */
  public LocalCheckpoint openDescription(String uri, String manifestSha256) throws IOException {
    return open(uri, Optional.of(manifestSha256), CheckpointCache::isDescription, "-description");
  }

  private static boolean isDescription(String file) {
    return !file.endsWith(WEIGHTS);
  }

  private LocalCheckpoint open(
      String uri, Optional<String> manifestSha256, Predicate<String> wanted, String keySuffix)
      throws IOException {
    CheckpointLocation from = CheckpointLocation.of(uri);
    if (from.isLocal()) {
      Path inPlace =
          manifestSha256.isPresent()
              ? CheckpointStore.resolve(uri, manifestSha256.get())
              : CheckpointStore.resolve(uri);
      return new LocalCheckpoint(inPlace, () -> {});
    }
    CacheDirectory.Use use = CacheDirectory.of(Path.of(directory)).use(maxBytes);
    try {
      return new LocalCheckpoint(fetch(from, manifestSha256, wanted, keySuffix, use), use::close);
    } catch (IOException | RuntimeException e) {
      use.close();
      throw e;
    }
  }

  private static Path fetch(
      CheckpointLocation from,
      Optional<String> announced,
      Predicate<String> wanted,
      String keySuffix,
      CacheDirectory.Use use)
      throws IOException {
    Optional<String> manifestSha256 =
        announced.isPresent() ? announced : PublishedFiles.manifest(from).map(Sha256::of);
    if (manifestSha256.isPresent()) {
      return fetchOnce(
          use,
          manifestSha256.get() + keySuffix,
          from,
          work -> PublishedFiles.copy(from, work, manifestSha256.get(), wanted));
    }
    List<RemoteFileSystem.Entry> files =
        RemoteFiles.of(from.toString()).list(from.toString()).stream()
            .filter(entry -> !entry.isDirectory() && MODEL_FILE.matcher(entry.name()).matches())
            .sorted((a, b) -> a.name().compareTo(b.name()))
            .toList();
    if (files.isEmpty()) {
      throw new UnusableCheckpointException(
          from + ": there is no such checkpoint directory, or it holds no model files");
    }
    // Without digests, the names, sizes and times of the files stand for their content.
    String key = Sha256.of((from + " " + files).getBytes(StandardCharsets.UTF_8)) + keySuffix;
    return fetchOnce(
        use,
        key,
        from,
        work -> {
          for (RemoteFileSystem.Entry file : files) {
            if (wanted.test(file.name())) {
              copy(from, file, work.resolve(file.name()));
            }
          }
        });
  }

  private static void copy(CheckpointLocation from, RemoteFileSystem.Entry file, Path to)
      throws IOException {
    try (InputStream in = from.open(file.name())) {
      long size = Files.copy(in, to);
      if (size != file.size()) {
        throw new IOException(
            "%s has %d bytes, and its directory listed %d; it changed during the copy, try again"
                .formatted(from.child(file.name()), size, file.size()));
      }
    }
  }

  /** Writes the files of an entry. */
  private interface EntryWriter {
    void write(Path directory) throws IOException;
  }

  private static Path fetchOnce(
      CacheDirectory.Use use, String key, CheckpointLocation from, EntryWriter writer)
      throws IOException {
    synchronized (use.lockOf(key)) {
      Optional<Path> existing = use.entry(key);
      if (existing.isPresent()) {
        return existing.get();
      }
      Path work = use.newWork();
      try {
        writer.write(work);
        Path entry = use.keep(work, key);
        LOG.info("Copied checkpoint {} to {}", from, entry);
        return entry;
      } catch (IOException | RuntimeException e) {
        Directories.delete(work);
        throw e;
      }
    }
  }
}
