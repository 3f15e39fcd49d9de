package io.millrace.jobs.ppo;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.util.Arrays;
import org.apache.flink.core.fs.BlockLocation;
import org.apache.flink.core.fs.FSDataInputStream;
import org.apache.flink.core.fs.FSDataOutputStream;
import org.apache.flink.core.fs.FileStatus;
import org.apache.flink.core.fs.FileSystem;
import org.apache.flink.core.fs.FileSystemFactory;
import org.apache.flink.core.fs.Path;

/** Files of this machine as if they lay on another: {@code far:///tmp/x} is {@code /tmp/x}. */
public final class FarFileSystem extends FileSystem {
  private static volatile boolean reachable = true;

  private final FileSystem files = FileSystem.getLocalFileSystem();

  /** Makes {@code far://} known to Flink. */
  public static final class Factory implements FileSystemFactory {
    @Override
    public String getScheme() {
      return "far";
    }

    @Override
    public FileSystem create(URI uri) {
      return new FarFileSystem();
    }
  }

  /** Whether the other machine answers. */
  static void setReachable(boolean answers) {
    reachable = answers;
  }

  private static Path near(Path path) {
    if (!reachable) {
      throw new UncheckedIOException(new IOException("no route to host"));
    }
    return new Path("file", null, path.toUri().getPath());
  }

  private record Far(Path getPath, FileStatus near) implements FileStatus {
    static Far of(FileStatus near) {
      return new Far(new Path("far", null, near.getPath().toUri().getPath()), near);
    }

    @Override
    public long getLen() {
      return near.getLen();
    }

    @Override
    public boolean isDir() {
      return near.isDir();
    }

    @Override
    public long getModificationTime() {
      return near.getModificationTime();
    }

    @Override
    public long getAccessTime() {
      return near.getAccessTime();
    }

    @Override
    public long getBlockSize() {
      return near.getBlockSize();
    }

    @Override
    public short getReplication() {
      return near.getReplication();
    }
  }

  @Override
  public FileStatus getFileStatus(Path path) throws IOException {
    return Far.of(files.getFileStatus(near(path)));
  }

  @Override
  public FileStatus[] listStatus(Path path) throws IOException {
    FileStatus[] found = files.listStatus(near(path));
    return found == null ? null : Arrays.stream(found).map(Far::of).toArray(FileStatus[]::new);
  }

  @Override
  public FSDataInputStream open(Path path) throws IOException {
    return files.open(near(path));
  }

  @Override
  public FSDataInputStream open(Path path, int bufferSize) throws IOException {
    return files.open(near(path), bufferSize);
  }

  @Override
  public boolean delete(Path path, boolean recursive) throws IOException {
    return files.delete(near(path), recursive);
  }

  @Override
  public boolean mkdirs(Path path) throws IOException {
    return files.mkdirs(near(path));
  }

  @Override
  public FSDataOutputStream create(Path path, WriteMode mode) throws IOException {
    return files.create(near(path), mode);
  }

  @Override
  public boolean rename(Path from, Path to) throws IOException {
    return files.rename(near(from), near(to));
  }

  @Override
  public Path getWorkingDirectory() {
    return new Path("far:///");
  }

  @Override
  public Path getHomeDirectory() {
    return getWorkingDirectory();
  }

  @Override
  public URI getUri() {
    return URI.create("far:///");
  }

  @Override
  public BlockLocation[] getFileBlockLocations(FileStatus file, long start, long length) {
    return new BlockLocation[0];
  }

  @Override
  public boolean isDistributedFS() {
    return true;
  }
}
