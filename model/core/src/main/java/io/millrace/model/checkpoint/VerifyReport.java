package io.millrace.model.checkpoint;

import java.nio.file.Path;
import java.util.List;

/**
 * What {@link CheckpointDirectory#verify} found.
 *
 * @param directory the checkpoint
 * @param hasManifest whether there is a {@code millrace.json}; without one no digest was compared
 * @param files files whose size and digest were compared
 * @param parameters values that were read and found finite
 * @param problems what is wrong, one sentence each; empty for a sound checkpoint
 */
public record VerifyReport(
    Path directory, boolean hasManifest, int files, long parameters, List<String> problems) {
  /** Copies the list. */
  public VerifyReport {
    problems = List.copyOf(problems);
  }

  /** Whether nothing is wrong. */
  public boolean isSound() {
    return problems.isEmpty();
  }
}
