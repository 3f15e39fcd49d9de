package io.millrace.jobs.rollout;

/** The part of a learner's configuration that limits how far sampling may run ahead of it. */
public interface RolloutDemand {

  /** The learner's job, as in its consumer group. */
  String learner();

  /** Rollouts that the learner consumes for each policy version that it publishes. */
  double rolloutsPerVersion();

  /** Highest staleness of a rollout that the learner uses, in versions. */
  long maxStaleness();

  /**
   * Most rollouts that may wait for the learner. A rollout behind n others is consumed n /
   * rolloutsPerVersion versions later. Half a version is kept free for rollouts that overtake each
   * other between partitions and subtasks.
   */
  default double maxAhead() {
    return rolloutsPerVersion() * Math.max(1, maxStaleness() + 0.5);
  }
}
