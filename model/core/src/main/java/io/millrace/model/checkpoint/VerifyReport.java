package io.millrace.model.checkpoint;

import java.nio.file.Path;
import java.util.List;

/**
 * The result of {@link CheckpointDirectory#verify}.
 *
 * @param directory the checkpoint
 * @param hasManifest whether there is a {@code millrace.json}; without it no digest was compared
 * @param files number of files whose size and digest were compared
 * @param parameters number of values that were read and found finite
 * @param problems one sentence for each problem; empty for a sound checkpoint
 */
public record VerifyReport(
    Path directory, boolean hasManifest, int files, long parameters, List<String> problems) {
  /** Copies the list. */
  public VerifyReport {
    problems = List.copyOf(problems);
  }

  /** Whether there is no problem. */
  public boolean isSound() {
    return problems.isEmpty();
  }
}
