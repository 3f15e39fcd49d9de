package io.millrace.connectors.checkpoint;

import io.millrace.connectors.checkpoint.store.CheckpointStore;
import io.millrace.connectors.checkpoint.store.Directories;
import io.millrace.schemas.PolicyCheckpoint;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Deque;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Local copies of a policy's newest versions, one directory a version. For one thread. */
final class PolicyCopies {
  private static final Logger LOG = LoggerFactory.getLogger(PolicyCopies.class);

  private final Path directory;
  private final int keep;
  private final Deque<Path> copies = new ArrayDeque<>();

  /**
   * @param directory holds the copies
   * @param keep the number of newest copies that stay
   */
  PolicyCopies(Path directory, int keep) {
    this.directory = directory;
    this.keep = keep;
  }

  /** Copies a version and verifies it against its announcement. */
  Path copy(PolicyCheckpoint announcement) throws IOException {
    String name = "%s-v%06d".formatted(announcement.getModel(), announcement.getVersion());
    return CheckpointStore.copy(
        announcement.getUri(), announcement.getManifestSha256(), directory.resolve(name));
  }

  /** Makes a copy the newest, and deletes the oldest when there are too many. */
  void add(Path newest) {
    copies.remove(newest);
    copies.addLast(newest);
    while (copies.size() > keep) {
      Path oldest = copies.removeFirst();
      try {
        Directories.delete(oldest);
      } catch (IOException e) {
        LOG.warn("Cannot delete the old copy {}; delete it by hand: {}", oldest, e.toString());
      }
    }
  }
}
