package io.millrace.jobs.quickstart;

import java.nio.file.Path;

/**
 * The size of a quickstart.
 *
 * @param seed of everything random
 * @param directory of the run's data
 * @param demonstrations that the first policy imitates
 * @param archive helpfulness judgments that reward models start from; half as many on safety
 * @param iterations of PPO
 * @param heldOut held-out prompts of each kind that policies are compared on
 * @param failAtRollout fails the PPO job once when this rollout passes; 0 never
 */
public record QuickstartSettings(
    long seed,
    Path directory,
    int demonstrations,
    int archive,
    int iterations,
    int heldOut,
    long failAtRollout) {

  public QuickstartSettings {
    if (demonstrations < 1 || archive < 2 || iterations < 1 || heldOut < 1 || failAtRollout < 0) {
      throw new IllegalArgumentException(
          "a quickstart needs demonstrations %d, archive %d, iterations %d, held-out %d above 0"
              .formatted(demonstrations, archive, iterations, heldOut));
    }
  }

  /** What {@code ./millrace quickstart} runs. */
  public static QuickstartSettings standard(long seed, Path directory) {
    return new QuickstartSettings(seed, directory, 3200, 2048, 50, 200, 0);
  }

  public QuickstartSettings withFailAtRollout(long rollout) {
    return new QuickstartSettings(
        seed, directory, demonstrations, archive, iterations, heldOut, rollout);
  }

  public QuickstartSettings withIterations(int count) {
    return new QuickstartSettings(
        seed, directory, demonstrations, archive, count, heldOut, failAtRollout);
  }
}
