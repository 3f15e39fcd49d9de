package io.millrace.jobs.ppo;

/** Refuses numbers of updaters that cannot learn together. */
final class UpdaterCheck {

  private UpdaterCheck() {}

  /**
   * @throws IllegalArgumentException naming the options and how to mend them
   */
  static void check(int updaters, int miniBatchSize, boolean sharded) {
    if (updaters > miniBatchSize) {
      throw new IllegalArgumentException(
          ("updaters must be at most mini-batch-size %d, not %d: each takes at least one rollout of"
                  + " an update. Lower it, or raise mini-batch-size")
              .formatted(miniBatchSize, updaters));
    }
    if (sharded && updaters == 1) {
      throw new IllegalArgumentException(
          "shard-optimizer must be false with updaters 1: a single updater has all moments. Set it"
              + " to false, or updaters to at least 2");
    }
  }
}
