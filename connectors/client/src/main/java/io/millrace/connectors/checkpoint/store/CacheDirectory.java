package io.millrace.connectors.checkpoint.store;

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
 * A local directory for copies of remote files, shared by the threads of this process and by other
 * processes.
 *
 * <pre>
 * KEY        an entry, which one rename made visible
 * .work-…    an entry that is being written or deleted
 * .lock      a lock that every process shares while it uses the directory
 * </pre>
 *
 * <p>No entry is deleted while a process may use it. When the last user in a process is done, the
 * process tries to take the lock exclusively. If that succeeds, it deletes the least recently used
 * entries until the rest fits the bound. So the directory may exceed its bound for a while.
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

  /** This process's instance for a directory, which the first {@link #use} creates. */
  static CacheDirectory of(Path directory) {
    return OPEN.computeIfAbsent(directory.toAbsolutePath().normalize(), CacheDirectory::new);
  }

  /** Protects entries from deletion until it is closed. */
  final class Use implements AutoCloseable {
    private final long maxBytes;
    private boolean closed;

    private Use(long maxBytes) {
      this.maxBytes = maxBytes;
    }

    /** Creates a directory to write an entry into. */
    Path newWork() throws IOException {
      return Files.createTempDirectory(root, WORK);
    }

    /** An entry, whose time of last use becomes now; empty when there is none. */
    Optional<Path> entry(String key) throws IOException {
      Path entry = root.resolve(key);
      if (!Files.isDirectory(entry)) {
        return Optional.empty();
      }
      Files.setLastModifiedTime(entry, FileTime.from(clock.instant()));
      return Optional.of(entry);
    }

    /**
     * Turns a work directory into a durable entry. If another process made the entry first, that
     * one is returned and the work is deleted.
     */
    Path keep(Path work, String key) throws IOException {
      Directories.sync(work);
      Path entry = root.resolve(key);
      try {
        Files.move(work, entry, StandardCopyOption.ATOMIC_MOVE);
      } catch (IOException e) {
        if (!Files.isDirectory(entry)) {
          throw e;
        }
        Directories.delete(work);
      }
      return entry;
    }

    /** The monitor that threads of this process hold while they make an entry. */
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

  /** A use that deletes no entries when it is closed. */
  Use use() throws IOException {
    return use(Long.MAX_VALUE);
  }

  /**
   * A use that may delete entries when it is closed.
   *
   * @param maxBytes the bound for all entries together
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
      FileLock exclusive = open.tryLock();
      if (exclusive != null) {
        evict(maxBytes);
      }
    } catch (IOException e) {
      LOG.warn(
          "Cannot delete old entries of the cache {}; its next user tries again: {}",
          root,
          e.toString());
    }
  }

  private record UsedEntry(Path path, FileTime used, long bytes) {}

  private void evict(long maxBytes) throws IOException {
    List<UsedEntry> entries = new ArrayList<>();
    List<Path> children;
    try (Stream<Path> list = Files.list(root)) {
      children = list.filter(Files::isDirectory).toList();
    }
    for (Path child : children) {
      if (child.getFileName().toString().startsWith(WORK)) {
        Directories.delete(child);
      } else {
        entries.add(new UsedEntry(child, Files.getLastModifiedTime(child), bytes(child)));
      }
    }
    entries.sort(Comparator.comparing(UsedEntry::used).reversed());
    long kept = 0;
    for (UsedEntry entry : entries) {
      kept += entry.bytes();
      if (kept > maxBytes) {
        // A crash during the deletion must not leave a partial entry under its key.
        Path doomed = root.resolve(WORK + entry.path().getFileName());
        Files.move(entry.path(), doomed, StandardCopyOption.ATOMIC_MOVE);
        Directories.delete(doomed);
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
