package io.millrace.connectors.checkpoint;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileTime;
import java.time.Clock;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A directory of this machine for what lies on others, shared by the threads of this process and by
 * other processes.
 *
 * <pre>
 * KEY        an entry, whole since it came here by one rename
 * .work-…    being written
 * .lock      locked, and shared, by every process that uses the directory at the moment
 * </pre>
 *
 * <p>Nothing that anybody uses is deleted: when the last user of a process is done it tries for the
 * lock alone, and only where no other process holds it entries go, the one first that was used the
 * longest ago, until the rest is small enough. So the directory may outgrow its bound for a while.
 */
final class CacheDirectory {
  private static final Logger LOG = LoggerFactory.getLogger(CacheDirectory.class);
  private static final Map<Path, CacheDirectory> OPEN = new ConcurrentHashMap<>();
  private static final String WORK = ".work-";
  private static final String LOCK = ".lock";

  private final Path root;
  private final Clock clock = Clock.systemUTC();
  private final Map<String, Object> keys = new ConcurrentHashMap<>();
  private int users;
  private FileChannel channel;
  private FileLock shared;

  private CacheDirectory(Path root) {
    this.root = root;
  }

  /** The one of this process for a directory, which is made when it is used. */
  static CacheDirectory of(Path directory) {
    return OPEN.computeIfAbsent(directory.toAbsolutePath().normalize(), CacheDirectory::new);
  }

  /** Keeps entries from being deleted until it is closed. */
  final class Use implements AutoCloseable {
    private final long maxBytes;
    private boolean closed;

    private Use(long maxBytes) {
      this.maxBytes = maxBytes;
    }

    /** A new directory to write into. */
    Path newWork() throws IOException {
      return Files.createTempDirectory(root, WORK);
    }

    /** An entry, as used just now; empty where there is none. */
    Optional<Path> entry(String key) throws IOException {
      Path entry = root.resolve(key);
      if (!Files.isDirectory(entry)) {
        return Optional.empty();
      }
      Files.setLastModifiedTime(entry, FileTime.from(clock.instant()));
      return Optional.of(entry);
    }

    /** Makes an entry of what was written, whole and durable, unless another process was first. */
    Path keep(Path work, String key) throws IOException {
      LocalStore.sync(work);
      Path entry = root.resolve(key);
      try {
        Files.move(work, entry, StandardCopyOption.ATOMIC_MOVE);
      } catch (IOException e) {
        if (!Files.isDirectory(entry)) {
          throw e;
        }
        LocalStore.delete(work);
      }
      return entry;
    }

    /** What to synchronize on, so that the threads of this process make an entry once. */
    Object lockOf(String key) {
      return keys.computeIfAbsent(key, _ -> new Object());
    }

    @Override
    public void close() {
      synchronized (CacheDirectory.this) {
        if (!closed) {
          closed = true;
          release(maxBytes);
        }
      }
    }
  }

  /** For a while, in which entries only come. */
  Use use() throws IOException {
    return use(Long.MAX_VALUE);
  }

  /**
   * For a while, after which entries go that are too much.
   *
   * @param maxBytes bound of all entries together
   */
  synchronized Use use(long maxBytes) throws IOException {
    if (users == 0) {
      Files.createDirectories(root);
      channel =
          FileChannel.open(
              root.resolve(LOCK),
              StandardOpenOption.CREATE,
              StandardOpenOption.READ,
              StandardOpenOption.WRITE);
      try {
        shared = channel.lock(0, Long.MAX_VALUE, true);
      } catch (IOException | RuntimeException e) {
        channel.close();
        throw e;
      }
    }
    users++;
    return new Use(maxBytes);
  }

  private void release(long maxBytes) {
    users--;
    if (users > 0) {
      return;
    }
    keys.clear();
    try (FileChannel open = channel) {
      shared.release();
      FileLock alone = open.tryLock();
      if (alone != null) {
        tidy(maxBytes);
      }
    } catch (IOException e) {
      LOG.warn("the cache {} cannot be tidied: {}", root, e.toString());
    }
  }

  private record Aged(Path path, FileTime used, long bytes) {}

  private void tidy(long maxBytes) throws IOException {
    List<Aged> entries = new ArrayList<>();
    List<Path> children;
    try (Stream<Path> list = Files.list(root)) {
      children = list.filter(Files::isDirectory).toList();
    }
    for (Path child : children) {
      if (child.getFileName().toString().startsWith(WORK)) {
        LocalStore.delete(child);
      } else {
        entries.add(new Aged(child, Files.getLastModifiedTime(child), bytes(child)));
      }
    }
    entries.sort(Comparator.comparing(Aged::used).reversed());
    long kept = 0;
    for (Aged entry : entries) {
      kept += entry.bytes();
      if (kept > maxBytes) {
        // Never a part of an entry under its key, whatever happens while it is deleted.
        Path doomed = root.resolve(WORK + entry.path().getFileName());
        Files.move(entry.path(), doomed, StandardCopyOption.ATOMIC_MOVE);
        LocalStore.delete(doomed);
      }
    }
  }

  private static long bytes(Path directory) throws IOException {
    long bytes = 0;
    try (Stream<Path> files = Files.walk(directory)) {
      for (Path file : files.toList()) {
        BasicFileAttributes attributes = Files.readAttributes(file, BasicFileAttributes.class);
        bytes += attributes.isRegularFile() ? attributes.size() : 0;
      }
    }
    return bytes;
  }
}
