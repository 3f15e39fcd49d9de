package io.millrace.jobs.runtime;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;

/**
 * A learning operator whose subtasks are all told of the same checkpoints.
 *
 * <p>What they were told is state that each subtask gets whole, so that one that a change of
 * parallelism adds does not wait for the next announcement, or sample with the first policy until
 * then.
 */
public interface Following {

  /** Writes what this subtask was told last. */
  void writeAnnounced(DataOutputStream out) throws IOException;

  /**
   * Takes what {@link #writeAnnounced} of one subtask wrote; called for each that there was, after
   * all other state was read.
   */
  void readAnnounced(DataInputStream in) throws IOException;
}
