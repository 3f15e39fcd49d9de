package io.millrace.connectors.flink.files;

import io.millrace.connectors.checkpoint.store.RemoteFileSystem;
import io.millrace.connectors.checkpoint.store.RemoteFileSystemFactory;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.apache.flink.core.fs.FileStatus;
import org.apache.flink.core.fs.FileSystem;
import org.apache.flink.core.fs.FileSystem.WriteMode;
import org.apache.flink.core.fs.Path;
import org.apache.flink.core.fs.UnsupportedFileSystemSchemeException;

/** A file system of Flink: from a plugin, or from the class path. */
public final class FlinkFileSystem implements RemoteFileSystem {
  private final FileSystem files;

  private FlinkFileSystem(FileSystem files) {
    this.files = files;
  }

  /** All file systems that this process' Flink has. */
  public static final class Factory implements RemoteFileSystemFactory {
    /** For {@code ServiceLoader}. */
    public Factory() {}

    @Override
    public Optional<RemoteFileSystem> open(String uri) throws IOException {
      try {
        return Optional.of(new FlinkFileSystem(FileSystem.get(new Path(uri).toUri())));
      } catch (UnsupportedFileSystemSchemeException e) {
        return Optional.empty();
      }
    }
  }

  @Override
  public Entry entry(String uri) throws IOException {
    return entry(files.getFileStatus(new Path(uri)));
  }

  private static Entry entry(FileStatus status) {
    return new Entry(
        status.getPath().getName(), status.isDir(), status.getLen(), status.getModificationTime());
  }

  @Override
  public List<Entry> list(String directory) throws IOException {
    FileStatus[] found = files.listStatus(new Path(directory));
    return found == null ? List.of() : Stream.of(found).map(FlinkFileSystem::entry).toList();
  }

  @Override
  public InputStream open(String uri) throws IOException {
    return files.open(new Path(uri));
  }

  @Override
  public OutputStream create(String uri) throws IOException {
    return files.create(new Path(uri), WriteMode.OVERWRITE);
  }

  @Override
  public boolean move(String from, String to) throws IOException {
    Path target = new Path(to);
    files.mkdirs(target.getParent());
    return files.rename(new Path(from), target);
  }

  @Override
  public void delete(String uri) throws IOException {
    files.delete(new Path(uri), true);
  }
}
