package io.millrace.connectors.checkpoint.store;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.List;

/**
 * The files of one remote store, such as a bucket, by URI. Methods may throw any exception; the
 * store adds the URI to its message. For use by many threads.
 */
public interface RemoteFileSystem {
  /**
   * A file or a directory.
   *
   * @param size bytes
   * @param modified milliseconds since 1970
   */
  record Entry(String name, boolean isDirectory, long size, long modified) {}

  /**
   * A file or a directory.
   *
   * @throws FileNotFoundException when it does not exist
   */
  Entry entry(String uri) throws IOException;

  /**
   * The entries of a directory.
   *
   * @throws FileNotFoundException when it does not exist; an object store may return no entries
   */
  List<Entry> list(String directory) throws IOException;

  /**
   * Opens a file for reading.
   *
   * @throws FileNotFoundException when it does not exist
   */
  InputStream open(String uri) throws IOException;

  /** Creates a file, or replaces it. It is complete when the stream is closed. */
  OutputStream create(String uri) throws IOException;

  /**
   * Renames a file, or on a file system with atomic renames a directory. The target does not exist;
   * its parent is created.
   *
   * @return false when the file system refuses
   */
  boolean move(String from, String to) throws IOException;

  /** Deletes a file, or a directory with its content; does nothing when it does not exist. */
  void delete(String uri) throws IOException;
}
