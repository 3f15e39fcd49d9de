package io.millrace.connectors.checkpoint.store;

import java.io.IOException;
import java.util.Optional;

/**
 * Opens remote file systems. {@link java.util.ServiceLoader} finds the implementations; the one of
 * millrace-connectors-flink knows all file systems of Flink. A process that reads checkpoints
 * without Flink may have its own, named in {@code
 * META-INF/services/io.millrace.connectors.checkpoint.store.RemoteFileSystemFactory}.
 */
public interface RemoteFileSystemFactory {
  /**
   * The file system of a URI; empty when this factory has none for its scheme.
   *
   * @throws IOException when there is one, and it cannot be opened
   */
  Optional<RemoteFileSystem> open(String uri) throws IOException;
}
