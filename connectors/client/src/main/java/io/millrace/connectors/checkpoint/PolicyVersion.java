package io.millrace.connectors.checkpoint;

import io.millrace.schemas.PolicyCheckpoint;
import java.nio.file.Path;

/**
 * A policy to serve.
 *
 * @param directory the local copy of its files, complete and verified
 * @param announcement the job's announcement: version, metrics, records learned from
 */
public record PolicyVersion(Path directory, PolicyCheckpoint announcement) {

  public long version() {
    return announcement.getVersion();
  }
}
