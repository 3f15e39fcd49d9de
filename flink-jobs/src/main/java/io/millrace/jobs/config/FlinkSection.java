package io.millrace.jobs.config;

import java.io.Serializable;
import java.time.Duration;

/** How Flink runs the jobs. */
public record FlinkSection(
    @Option(
            value = "millrace-data/flink",
            help = "Directory of Flink checkpoints: the state that a job resumes from.")
        String stateDirectory,
    @Option(
            value = "5s",
            help =
                "Time between Flink checkpoints: what is sampled, learned or published becomes"
                    + " visible to others with the next one.")
        Duration checkpointInterval,
    @Option(value = "1", help = "Parallel instances of validation and rollout.") int parallelism,
    @Option(
            value = "30",
            help =
                "Restarts of a failing job, one after the other, before it gives up; ten minutes"
                    + " without a failure start the count anew.")
        int restartAttempts,
    @Option(
            value = "1s",
            help =
                "Time between a failure and the restart, from 1ms to 1m; half as much longer with"
                    + " each failure that follows, up to a minute.")
        Duration restartDelay)
    implements Serializable {

  /** A broker that is away for some minutes shall find the jobs still trying. */
  public static final Duration LONGEST_DELAY = Duration.ofMinutes(1);

  public FlinkSection {
    Require.present("state-directory", stateDirectory);
    Require.atLeast("checkpoint-interval (ms)", checkpointInterval.toMillis(), 10);
    Require.atLeast("parallelism", parallelism, 1);
    Require.atLeast("restart-attempts", restartAttempts, 0);
    Require.between("restart-delay (ms)", restartDelay.toMillis(), 1, LONGEST_DELAY.toMillis());
  }

  FlinkSection withStateDirectory(String directory) {
    return new FlinkSection(
        directory, checkpointInterval, parallelism, restartAttempts, restartDelay);
  }
}
