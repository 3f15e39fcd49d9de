package io.millrace.connectors.checkpoint;

import java.io.ByteArrayOutputStream;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.flink.core.fs.BlockLocation;
import org.apache.flink.core.fs.FSDataInputStream;
import org.apache.flink.core.fs.FSDataOutputStream;
import org.apache.flink.core.fs.FileStatus;
import org.apache.flink.core.fs.FileSystem;
import org.apache.flink.core.fs.FileSystemFactory;
import org.apache.flink.core.fs.Path;

/**
 * A store of objects by key in this process, as Flink sees one: a directory is a prefix that some
 * key has, an object is there when its stream is closed (cut off where writing failed before), and
 * a rename is a copy and a deletion. {@code mem://} renames no directories, {@code hdfs://} does,
 * in one step. Any request can be made to fail.
 */
final class InMemoryStore extends FileSystem {
  private static final Map<String, InMemoryStore> STORES = new ConcurrentHashMap<>();
  private static final AtomicInteger NAMES = new AtomicInteger();

  /** How a request fails. */
  enum Fault {
    /** Nothing was done, and nothing works any more: the process died. */
    CRASH_BEFORE,
    /** It was done, and the process died before it knew. */
    CRASH_AFTER,
    /** Nothing was done; the next request works. */
    ERROR_BEFORE,
    /** It was done, but the answer is an error; the next request works. */
    ERROR_AFTER
  }

  /** Sees all objects after every change. */
  interface Observer {
    void changed(SortedMap<String, byte[]> objects);
  }

  private record Stored(byte[] content, long modified) {}

  private final URI uri;
  private final boolean renamesDirectories;
  private final TreeMap<String, Stored> objects = new TreeMap<>();
  private Observer observer = _ -> {};
  private Fault fault = Fault.ERROR_BEFORE;
  private int untilFault = Integer.MAX_VALUE;
  private boolean dead;
  private boolean hit;
  private int reads;
  private long now = 1_000;

  private InMemoryStore(URI uri, boolean renamesDirectories) {
    this.uri = uri;
    this.renamesDirectories = renamesDirectories;
  }

  /** The URI of a fresh object store. */
  static String freshObjects() {
    return "mem://store" + NAMES.incrementAndGet();
  }

  /** The URI of a fresh file system that renames directories. */
  static String freshDirectories() {
    return "hdfs://store" + NAMES.incrementAndGet();
  }

  static InMemoryStore of(String uri) {
    URI parsed = URI.create(uri);
    return STORES.computeIfAbsent(
        parsed.getScheme() + "://" + parsed.getAuthority(),
        _ -> new InMemoryStore(parsed, parsed.getScheme().equals("hdfs")));
  }

  /** Makes {@code mem://} known to Flink. */
  public static final class ObjectStoreFactory implements FileSystemFactory {
    @Override
    public String getScheme() {
      return "mem";
    }

    @Override
    public FileSystem create(URI uri) {
      return of(uri.toString());
    }
  }

  /** Makes {@code hdfs://} known to Flink. */
  public static final class HadoopFactory implements FileSystemFactory {
    @Override
    public String getScheme() {
      return "hdfs";
    }

    @Override
    public FileSystem create(URI uri) {
      return of(uri.toString());
    }
  }

  synchronized void observe(Observer newObserver) {
    observer = newObserver;
  }

  /**
   * Lets a request fail.
   *
   * @param request 0: the next one
   */
  synchronized void fail(int request, Fault how) {
    untilFault = request;
    fault = how;
    dead = false;
    hit = false;
  }

  /**
   * Back to work.
   *
   * @return whether the request that was to fail did
   */
  synchronized boolean mend() {
    untilFault = Integer.MAX_VALUE;
    dead = false;
    return hit;
  }

  /** Keys below the root of the store, in order. */
  synchronized List<String> keys() {
    return List.copyOf(objects.keySet());
  }

  synchronized String text(String key) {
    return new String(objects.get(key).content(), StandardCharsets.UTF_8);
  }

  synchronized void put(String key, String text) {
    objects.put(key, new Stored(text.getBytes(StandardCharsets.UTF_8), now));
  }

  /** Sets the time of an object, and of all that are written from now on. */
  synchronized void touch(String key, long millis) {
    objects.put(key, new Stored(objects.get(key).content(), millis));
  }

  /** How many objects were read so far. */
  synchronized int reads() {
    return reads;
  }

  private interface Effect<T> {
    T apply() throws IOException;
  }

  private synchronized <T> T request(Effect<T> effect) throws IOException {
    if (dead) {
      throw new UncheckedIOException(new IOException("the process is dead"));
    }
    if (untilFault-- == 0) {
      hit = true;
      dead = fault == Fault.CRASH_BEFORE || fault == Fault.CRASH_AFTER;
      if (fault == Fault.CRASH_AFTER || fault == Fault.ERROR_AFTER) {
        effect.apply();
        changed();
      }
      // As a client that throws what it likes.
      throw new UncheckedIOException(new IOException("induced " + fault));
    }
    T result = effect.apply();
    changed();
    return result;
  }

  private void changed() {
    TreeMap<String, byte[]> contents = new TreeMap<>();
    objects.forEach((key, stored) -> contents.put(key, stored.content()));
    observer.changed(contents);
  }

  private static String key(Path path) {
    return path.toUri().getPath().replaceFirst("^/", "");
  }

  private static String prefix(Path path) {
    String key = key(path);
    return key.isEmpty() ? "" : key + "/";
  }

  private SortedMap<String, Stored> below(String prefix) {
    return objects.subMap(prefix, prefix + Character.MAX_VALUE);
  }

  private record Status(Path getPath, boolean isDir, long getLen, long getModificationTime)
      implements FileStatus {
    @Override
    public long getBlockSize() {
      return getLen;
    }

    @Override
    public short getReplication() {
      return 1;
    }

    @Override
    public long getAccessTime() {
      return 0;
    }
  }

  @Override
  public FileStatus getFileStatus(Path path) throws IOException {
    return request(
        () -> {
          Stored object = objects.get(key(path));
          if (object != null) {
            return new Status(path, false, object.content().length, object.modified());
          }
          if (below(prefix(path)).isEmpty()) {
            throw new FileNotFoundException(path.toString());
          }
          return new Status(path, true, 0, 0);
        });
  }

  @Override
  public FileStatus[] listStatus(Path path) throws IOException {
    return request(
        () -> {
          String prefix = prefix(path);
          List<FileStatus> found = new ArrayList<>();
          Set<String> directories = new HashSet<>();
          below(prefix)
              .forEach(
                  (key, object) -> {
                    String rest = key.substring(prefix.length());
                    int slash = rest.indexOf('/');
                    if (slash < 0) {
                      found.add(
                          new Status(
                              new Path(path, rest),
                              false,
                              object.content().length,
                              object.modified()));
                    } else if (directories.add(rest.substring(0, slash))) {
                      found.add(new Status(new Path(path, rest.substring(0, slash)), true, 0, 0));
                    }
                  });
          if (renamesDirectories && found.isEmpty()) {
            throw new FileNotFoundException(path.toString());
          }
          return found.toArray(FileStatus[]::new);
        });
  }

  @Override
  public boolean delete(Path path, boolean recursive) throws IOException {
    if (renamesDirectories) {
      return request(
          () -> {
            boolean isFile = objects.remove(key(path)) != null;
            boolean isDirectory = !below(prefix(path)).isEmpty();
            below(prefix(path)).clear();
            return isFile || isDirectory;
          });
    }
    List<String> keys =
        request(
            () -> {
              List<String> found = new ArrayList<>(below(prefix(path)).keySet());
              if (objects.containsKey(key(path))) {
                found.add(key(path));
              }
              return found;
            });
    for (String key : keys) {
      request(() -> objects.remove(key));
    }
    return !keys.isEmpty();
  }

  @Override
  public boolean rename(Path from, Path to) throws IOException {
    String prefix = prefix(from);
    if (renamesDirectories && !objects.containsKey(key(from))) {
      return request(
          () -> {
            if (below(prefix).isEmpty()) {
              throw new FileNotFoundException(from.toString());
            }
            // Hadoop moves into a directory that is there.
            String target =
                below(prefix(to)).isEmpty() ? prefix(to) : prefix(to) + from.getName() + "/";
            Map<String, Stored> moved = new TreeMap<>(below(prefix));
            below(prefix).clear();
            moved.forEach((key, o) -> objects.put(target + key.substring(prefix.length()), o));
            return true;
          });
    }
    request(
        () -> {
          Stored object = objects.get(key(from));
          if (object == null) {
            throw new FileNotFoundException(from.toString());
          }
          if (objects.containsKey(key(to))) {
            throw new IOException(to + " exists");
          }
          return objects.put(key(to), new Stored(object.content(), now));
        });
    request(() -> objects.remove(key(from)));
    return true;
  }

  @Override
  public boolean mkdirs(Path path) {
    return true;
  }

  @Override
  public FSDataInputStream open(Path path) throws IOException {
    byte[] content =
        request(
            () -> {
              Stored object = objects.get(key(path));
              if (object == null) {
                throw new FileNotFoundException(path.toString());
              }
              reads++;
              return object.content();
            });
    return new Reading(content);
  }

  @Override
  public FSDataInputStream open(Path path, int bufferSize) throws IOException {
    return open(path);
  }

  @Override
  public FSDataOutputStream create(Path path, WriteMode mode) {
    return new Writing(key(path));
  }

  @Override
  public Path getWorkingDirectory() {
    return new Path(uri);
  }

  @Override
  public Path getHomeDirectory() {
    return new Path(uri);
  }

  @Override
  public URI getUri() {
    return uri;
  }

  @Override
  public BlockLocation[] getFileBlockLocations(FileStatus file, long start, long length) {
    return new BlockLocation[0];
  }

  @Override
  public boolean isDistributedFS() {
    return true;
  }

  /** Gives few bytes at a time. */
  private static final class Reading extends FSDataInputStream {
    private final byte[] content;
    private int position;

    Reading(byte[] content) {
      this.content = content;
    }

    @Override
    public void seek(long to) {
      position = (int) to;
    }

    @Override
    public long getPos() {
      return position;
    }

    @Override
    public int read() {
      return position == content.length ? -1 : content[position++] & 0xff;
    }

    @Override
    public int read(byte[] buffer, int offset, int length) {
      if (position == content.length) {
        return -1;
      }
      int n = Math.min(7, Math.min(length, content.length - position));
      System.arraycopy(content, position, buffer, offset, n);
      position += n;
      return n;
    }
  }

  /** Half of a write that fails is in the object, once the stream is closed. */
  private final class Writing extends FSDataOutputStream {
    private final String key;
    private final ByteArrayOutputStream content = new ByteArrayOutputStream();
    private boolean closed;

    Writing(String key) {
      this.key = key;
    }

    @Override
    public void write(int b) throws IOException {
      write(new byte[] {(byte) b}, 0, 1);
    }

    @Override
    public void write(byte[] bytes, int offset, int length) throws IOException {
      content.write(bytes, offset, length / 2);
      request(() -> null);
      content.write(bytes, offset + length / 2, length - length / 2);
    }

    @Override
    public long getPos() {
      return content.size();
    }

    @Override
    public void flush() {}

    @Override
    public void sync() {}

    @Override
    public void close() throws IOException {
      if (!closed) {
        closed = true;
        request(() -> objects.put(key, new Stored(content.toByteArray(), now)));
      }
    }
  }
}
