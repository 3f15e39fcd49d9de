package io.millrace.connectors.checkpoint;

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
 * Checkpoints of any place as directories of this machine, since weights are mapped into memory.
 * What lies here is used where it lies. What lies elsewhere is copied once, however many tasks and
 * processes of the machine ask for it, checked against the digests of its manifest, and kept under
 * the manifest's own digest; least recently used copies go when there are too many.
 */
public final class CheckpointCache implements Serializable {
  private static final long serialVersionUID = 1L;
  private static final Logger LOG = LoggerFactory.getLogger(CheckpointCache.class);

  /** What a checkpoint of other origin, without a manifest, may consist of. */
  private static final Pattern OF_A_MODEL =
      Pattern.compile("[A-Za-z0-9_][A-Za-z0-9._-]*\\.(json|jinja|model|txt|safetensors)");

  private static final String WEIGHTS = ".safetensors";

  private final String directory;
  private final long maxBytes;

  /**
   * @param directory of this machine
   * @param maxBytes bound of all copies together that nobody uses
   */
  public CheckpointCache(String directory, long maxBytes) {
    this.directory = directory;
    this.maxBytes = maxBytes;
  }

  /** All files of a checkpoint. */
  public LocalCheckpoint open(String uri) throws IOException {
    return open(uri, Optional.empty(), _ -> true, "");
  }

  /**
   * All files of a checkpoint.
   *
   * @param manifestSha256 of the announcement
   * @throws IOException when it cannot be read; an {@link UnusableCheckpointException} when it is
   *     not there or not what was announced
   */
  public LocalCheckpoint open(String uri, String manifestSha256) throws IOException {
    return open(uri, Optional.of(manifestSha256), _ -> true, "");
  }

  /** A checkpoint without its weights, where those would have to be copied. */
  public LocalCheckpoint openDescription(String uri) throws IOException {
    return open(uri, Optional.empty(), CheckpointCache::describes, "-description");
  }

  /**
   * A checkpoint without its weights, where those would have to be copied; it is checked that they
   * are there.
   */
  public LocalCheckpoint openDescription(String uri, String manifestSha256) throws IOException {
    return open(uri, Optional.of(manifestSha256), CheckpointCache::describes, "-description");
  }

  private static boolean describes(String file) {
    return !file.endsWith(WEIGHTS);
  }

  private LocalCheckpoint open(
      String uri, Optional<String> manifestSha256, Predicate<String> wanted, String part)
      throws IOException {
    CheckpointLocation from = CheckpointLocation.of(uri);
    if (from.isLocal()) {
      Path here =
          manifestSha256.isPresent()
              ? CheckpointStore.resolve(uri, manifestSha256.get())
              : CheckpointStore.resolve(uri);
      return new LocalCheckpoint(here, () -> {});
    }
    CacheDirectory.Use use = CacheDirectory.of(Path.of(directory)).use(maxBytes);
    try {
      return new LocalCheckpoint(fetch(from, manifestSha256, wanted, part, use), use::close);
    } catch (IOException | RuntimeException e) {
      use.close();
      throw e;
    }
  }

  private static Path fetch(
      CheckpointLocation from,
      Optional<String> announced,
      Predicate<String> wanted,
      String part,
      CacheDirectory.Use use)
      throws IOException {
    Optional<String> manifest =
        announced.isPresent()
            ? announced
            : PublishedFiles.manifest(from).map(PublishedFiles::sha256);
    if (manifest.isPresent()) {
      return once(
          use,
          manifest.get() + part,
          from,
          work -> PublishedFiles.copy(from, work, manifest.get(), wanted));
    }
    List<RemoteFiles.Entry> files =
        RemoteFiles.of(from.toString()).list(from.toString()).stream()
            .filter(entry -> !entry.isDirectory() && OF_A_MODEL.matcher(entry.name()).matches())
            .sorted((a, b) -> a.name().compareTo(b.name()))
            .toList();
    if (files.isEmpty()) {
      throw new UnusableCheckpointException(from + ": there is no such checkpoint directory");
    }
    // Nothing vouches for its content: the names, sizes and times of files have to do.
    String key =
        PublishedFiles.sha256((from + " " + files).getBytes(StandardCharsets.UTF_8)) + part;
    return once(
        use,
        key,
        from,
        work -> {
          for (RemoteFiles.Entry file : files) {
            if (wanted.test(file.name())) {
              copy(from, file, work.resolve(file.name()));
            }
          }
        });
  }

  private static void copy(CheckpointLocation from, RemoteFiles.Entry file, Path to)
      throws IOException {
    try (InputStream in = from.open(file.name())) {
      long size = Files.copy(in, to);
      if (size != file.size()) {
        throw new IOException(
            "%s has %d bytes where %d were listed; it changed meanwhile"
                .formatted(from.child(file.name()), size, file.size()));
      }
    }
  }

  /** Fills a directory. */
  private interface Filler {
    void fill(Path directory) throws IOException;
  }

  private static Path once(
      CacheDirectory.Use use, String key, CheckpointLocation from, Filler filler)
      throws IOException {
    synchronized (use.lockOf(key)) {
      Optional<Path> there = use.entry(key);
      if (there.isPresent()) {
        return there.get();
      }
      Path work = use.newWork();
      try {
        filler.fill(work);
        Path entry = use.keep(work, key);
        LOG.info("copied {} to {}", from, entry);
        return entry;
      } catch (IOException | RuntimeException e) {
        LocalStore.delete(work);
        throw e;
      }
    }
  }
}
