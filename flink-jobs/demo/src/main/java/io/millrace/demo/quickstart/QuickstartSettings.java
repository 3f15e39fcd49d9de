package io.millrace.demo.quickstart;

import io.millrace.world.Difficulty;
import java.nio.file.Path;
import java.util.List;

/**
 * The size of a quickstart.
 *
 * @param seed seed of everything random
 * @param directory directory of the run's data
 * @param demonstrations demonstrations that the first policy imitates
 * @param archive helpfulness judgments that the reward models start from; half as many on safety
 * @param iterations iterations of PPO
 * @param heldOut held-out prompts of each kind on which policies are compared
 * @param failAtRollout the rollout at which the PPO job fails once; 0 for no failure
 * @param versionsBehind how many versions a rollout is sampled ahead of the update that learns from
 *     it
 * @param world how hard the demo world is
 * @param options further options, {@code key=value}, that replace the quickstart's own
 */
public record QuickstartSettings(
    long seed,
    Path directory,
    int demonstrations,
    int archive,
    int iterations,
    int heldOut,
    long failAtRollout,
    int versionsBehind,
    Difficulty world,
    List<String> options) {

  /** Checks every size; an error names the setting and its value. */
  public QuickstartSettings {
    requireAtLeast(1, "demonstrations", demonstrations);
    requireAtLeast(2, "archive", archive);
    requireAtLeast(1, "iterations", iterations);
    requireAtLeast(1, "heldOut", heldOut);
    requireAtLeast(0, "failAtRollout", failAtRollout);
    requireAtLeast(0, "versionsBehind", versionsBehind);
    options = List.copyOf(options);
  }

  private static void requireAtLeast(long least, String name, long value) {
    if (value < least) {
      throw new IllegalArgumentException(
          "%s is %d but must be at least %d".formatted(name, value, least));
    }
  }

  /** Begins with the sizes that {@code ./millrace quickstart} runs. */
  public static Builder builder(long seed, Path directory) {
    return new Builder(seed, directory);
  }

  /** Settings one by one. */
  public static final class Builder {
    private final long seed;
    private final Path directory;
    private int demonstrations = 3200;
    private int archive = 16_384;
    private int iterations = 60;
    private int heldOut = 200;
    private long failAtRollout;

    /** One batch is sampled while another is learned from. */
    private int versionsBehind = 1;

    private Difficulty world = Difficulty.PLAIN;
    private List<String> options = List.of();

    private Builder(long seed, Path directory) {
      this.seed = seed;
      this.directory = directory;
    }

    /** Demonstrations that the first policy imitates. */
    public Builder demonstrations(int count) {
      this.demonstrations = count;
      return this;
    }

    /** Helpfulness judgments that the reward models start from; half as many on safety. */
    public Builder archive(int judgments) {
      this.archive = judgments;
      return this;
    }

    /** Iterations of PPO. */
    public Builder iterations(int count) {
      this.iterations = count;
      return this;
    }

    /** Held-out prompts of each kind on which policies are compared. */
    public Builder heldOut(int prompts) {
      this.heldOut = prompts;
      return this;
    }

    /** The rollout at which the PPO job fails once; 0 for no failure. */
    public Builder failAtRollout(long rollout) {
      this.failAtRollout = rollout;
      return this;
    }

    /** How many versions a rollout is sampled ahead of the update that learns from it. */
    public Builder versionsBehind(int count) {
      this.versionsBehind = count;
      return this;
    }

    /** How hard the demo world is. */
    public Builder world(Difficulty difficulty) {
      this.world = difficulty;
      return this;
    }

    /** Further options, {@code key=value}. */
    public Builder options(List<String> settings) {
      this.options = settings;
      return this;
    }

    /**
     * The settings.
     *
     * @throws IllegalArgumentException naming the setting that is too small, and its value
     */
    public QuickstartSettings build() {
      return new QuickstartSettings(
          seed,
          directory,
          demonstrations,
          archive,
          iterations,
          heldOut,
          failAtRollout,
          versionsBehind,
          world,
          options);
    }
  }
}
