package io.millrace.demo.quickstart;

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
 * @param versionsBehind how many versions before the one that learns from it a rollout is sampled
 */
public record QuickstartSettings(
    long seed,
    Path directory,
    int demonstrations,
    int archive,
    int iterations,
    int heldOut,
    long failAtRollout,
    int versionsBehind) {

  public QuickstartSettings {
    if (versionsBehind < 0) {
      throw new IllegalArgumentException(
          "rollouts are 0 versions behind or more, not " + versionsBehind);
    }
    if (demonstrations < 1 || archive < 2 || iterations < 1 || heldOut < 1 || failAtRollout < 0) {
      throw new IllegalArgumentException(
          "a quickstart needs demonstrations %d, archive %d, iterations %d, held-out %d above 0"
              .formatted(demonstrations, archive, iterations, heldOut));
    }
  }

  /** One batch is sampled while another is learned from. */
  private static final int ONE_BEHIND = 1;

  /** What {@code ./millrace quickstart} runs. */
  public static QuickstartSettings standard(long seed, Path directory) {
    return new QuickstartSettings(seed, directory, 3200, 16_384, 60, 200, 0, ONE_BEHIND);
  }

  public QuickstartSettings withFailAtRollout(long rollout) {
    return new QuickstartSettings(
        seed, directory, demonstrations, archive, iterations, heldOut, rollout, versionsBehind);
  }

  public QuickstartSettings withIterations(int count) {
    return new QuickstartSettings(
        seed, directory, demonstrations, archive, count, heldOut, failAtRollout, versionsBehind);
  }

  public QuickstartSettings withVersionsBehind(int count) {
    return new QuickstartSettings(
        seed, directory, demonstrations, archive, iterations, heldOut, failAtRollout, count);
  }
}
