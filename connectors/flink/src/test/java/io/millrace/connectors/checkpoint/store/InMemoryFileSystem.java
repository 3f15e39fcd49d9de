package io.millrace.connectors.checkpoint.store;

import io.millrace.connectors.checkpoint.store.InMemoryStore.Stored;
import java.io.ByteArrayOutputStream;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.net.URI;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import org.apache.flink.core.fs.BlockLocation;
import org.apache.flink.core.fs.FSDataInputStream;
import org.apache.flink.core.fs.FSDataOutputStream;
import org.apache.flink.core.fs.FileStatus;
import org.apache.flink.core.fs.FileSystem;
import org.apache.flink.core.fs.FileSystemFactory;
import org.apache.flink.core.fs.Path;

/**
 * An {@link InMemoryStore} as a Flink file system. A directory exists while some key has it as a
 * prefix. An object appears when its stream is closed; a failed write leaves a part of it. A rename
 * of a file is a copy and a deletion. {@code hdfs://} renames directories, in one step; {@code
 * mem://} does not.
 */
final class InMemoryFileSystem extends FileSystem {
  private final InMemoryStore store;
  private final boolean renamesDirectories;

  private InMemoryFileSystem(URI uri) {
    this.store = InMemoryStore.of(uri.toString());
    this.renamesDirectories = store.uri().getScheme().equals("hdfs");
  }

  /** Registers {@code mem://} with Flink. */
  public static final class ObjectStoreFactory implements FileSystemFactory {
    @Override
    public String getScheme() {
      return "mem";
    }

    @Override
    public FileSystem create(URI uri) {
      return new InMemoryFileSystem(uri);
    }
  }

  /** Registers {@code hdfs://} with Flink. */
  public static final class HadoopFactory implements FileSystemFactory {
    @Override
    public String getScheme() {
      return "hdfs";
    }

    @Override
    public FileSystem create(URI uri) {
      return new InMemoryFileSystem(uri);
    }
  }

  private static String key(Path path) {
    return path.toUri().getPath().replaceFirst("^/", "");
  }

  private static String prefix(Path path) {
    String key = key(path);
    return key.isEmpty() ? "" : key + "/";
  }

  private static SortedMap<String, Stored> below(TreeMap<String, Stored> objects, String prefix) {
    return objects.subMap(prefix, prefix + Character.MAX_VALUE);
  }

  private static Stored object(TreeMap<String, Stored> objects, Path path) throws IOException {
    Stored object = objects.get(key(path));
    if (object == null) {
      throw new FileNotFoundException(path.toString());
    }
    return object;
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

  private static Status fileStatus(Path path, Stored object) {
    return new Status(path, false, object.content().length, object.modified());
  }

  private static Status directoryStatus(Path path) {
    return new Status(path, true, 0, 0);
  }

  @Override
  public FileStatus getFileStatus(Path path) throws IOException {
    return store.request(
        objects -> {
          Stored object = objects.get(key(path));
          if (object != null) {
            return fileStatus(path, object);
          }
          if (below(objects, prefix(path)).isEmpty()) {
            throw new FileNotFoundException(path.toString());
          }
          return directoryStatus(path);
        });
  }

  @Override
  public FileStatus[] listStatus(Path path) throws IOException {
    return store.request(
        objects -> {
          String prefix = prefix(path);
          List<FileStatus> found = new ArrayList<>();
          Set<String> directories = new HashSet<>();
          below(objects, prefix)
              .forEach(
                  (key, object) -> {
                    String name = key.substring(prefix.length());
                    int slash = name.indexOf('/');
                    if (slash < 0) {
                      found.add(fileStatus(new Path(path, name), object));
                    } else if (directories.add(name.substring(0, slash))) {
                      found.add(directoryStatus(new Path(path, name.substring(0, slash))));
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
      return store.request(
          objects -> {
            boolean isFile = objects.remove(key(path)) != null;
            boolean isDirectory = !below(objects, prefix(path)).isEmpty();
            below(objects, prefix(path)).clear();
            return isFile || isDirectory;
          });
    }
    List<String> keys =
        store.request(
            objects -> {
              List<String> found = new ArrayList<>(below(objects, prefix(path)).keySet());
              if (objects.containsKey(key(path))) {
                found.add(key(path));
              }
              return found;
            });
    for (String key : keys) {
      store.request(objects -> objects.remove(key));
    }
    return !keys.isEmpty();
  }

  @Override
  public boolean rename(Path from, Path to) throws IOException {
    boolean isFile = store.keys().contains(key(from));
    if (renamesDirectories && !isFile) {
      return store.request(objects -> renameDirectory(objects, from, to));
    }
    store.request(
        objects -> {
          Stored object = object(objects, from);
          if (objects.containsKey(key(to))) {
            throw new IOException(to + " exists");
          }
          return objects.put(key(to), InMemoryStore.stored(object.content()));
        });
    store.request(objects -> objects.remove(key(from)));
    return true;
  }

  private static boolean renameDirectory(TreeMap<String, Stored> objects, Path from, Path to)
      throws IOException {
    String prefix = prefix(from);
    if (below(objects, prefix).isEmpty()) {
      throw new FileNotFoundException(from.toString());
    }
    // Hadoop moves into a directory that exists.
    String target =
        below(objects, prefix(to)).isEmpty() ? prefix(to) : prefix(to) + from.getName() + "/";
    Map<String, Stored> moved = new TreeMap<>(below(objects, prefix));
    below(objects, prefix).clear();
    moved.forEach((key, object) -> objects.put(target + key.substring(prefix.length()), object));
    return true;
  }

  @Override
  public boolean mkdirs(Path path) {
    return true;
  }

  @Override
  public FSDataInputStream open(Path path) throws IOException {
    byte[] content =
        store.request(
            objects -> {
              Stored object = object(objects, path);
              store.countRead();
              return object.content();
            });
    return new ShortReads(content);
  }

  @Override
  public FSDataInputStream open(Path path, int bufferSize) throws IOException {
    return open(path);
  }

  @Override
  public FSDataOutputStream create(Path path, WriteMode mode) {
    return new Upload(key(path));
  }

  @Override
  public Path getWorkingDirectory() {
    return new Path(store.uri());
  }

  @Override
  public Path getHomeDirectory() {
    return new Path(store.uri());
  }

  @Override
  public URI getUri() {
    return store.uri();
  }

  @Override
  public BlockLocation[] getFileBlockLocations(FileStatus file, long start, long length) {
    return new BlockLocation[0];
  }

  @Override
  public boolean isDistributedFS() {
    return true;
  }

  /** A stream that returns at most seven bytes at a time. */
  private static final class ShortReads extends FSDataInputStream {
    private final byte[] content;
    private int position;

    ShortReads(byte[] content) {
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

  /** A stream to a new object. When a write fails, half of its bytes are in the object. */
  private final class Upload extends FSDataOutputStream {
    private final String key;
    private final ByteArrayOutputStream content = new ByteArrayOutputStream();
    private boolean closed;

    Upload(String key) {
      this.key = key;
    }

    @Override
    public void write(int b) throws IOException {
      write(new byte[] {(byte) b}, 0, 1);
    }

    @Override
    public void write(byte[] bytes, int offset, int length) throws IOException {
      content.write(bytes, offset, length / 2);
      store.request(_ -> null);
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
        store.request(objects -> objects.put(key, InMemoryStore.stored(content.toByteArray())));
      }
    }
  }
}
