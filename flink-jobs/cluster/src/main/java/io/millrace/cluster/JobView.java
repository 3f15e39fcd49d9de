package io.millrace.cluster;

import io.millrace.cluster.FlinkClient.Running;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;

/**
 * A job as Flink sees it.
 *
 * @param job the job and Flink's status of it
 * @param parameters what the job carries, see {@link io.millrace.jobs.runtime.JobParameters}
 * @param tasks number of tasks
 * @param runningTasks number of tasks that run or have finished
 * @param deployedTasks number of tasks that have a slot
 * @param slotsNeeded number of slots without which the job does not start
 * @param restarts number of times that the job was restarted after a failure, as far as Flink knows
 * @param failure the last failure
 * @param checkpoint the last completed Flink checkpoint
 * @param failedCheckpoints number of Flink checkpoints among the latest ones that began and failed
 * @param recordsRead records that sources have read since the last start of the tasks
 * @param recordsPerSecond mean of that time
 * @param counts what the operators counted, by name, such as {@code topics/prompts/accepted}
 * @param ended time of the end; empty while the job is alive
 */
public record JobView(
    Running job,
    Map<String, String> parameters,
    int tasks,
    int runningTasks,
    int deployedTasks,
    int slotsNeeded,
    long restarts,
    Optional<Failure> failure,
    Optional<Checkpoint> checkpoint,
    long failedCheckpoints,
    long recordsRead,
    double recordsPerSecond,
    SortedMap<String, String> counts,
    Optional<Instant> ended) {

  /**
   * A failure of a job.
   *
   * @param cause its root cause in one line
   * @param task where it happened; empty for the job as a whole
   */
  public record Failure(Instant time, String cause, Optional<String> task) {

    /** Flink's name of the task of a failure of the job as a whole. */
    private static final String GLOBAL = "(global failure)";

    /**
     * A failure as Flink reports it.
     *
     * @param task null for the job as a whole
     */
    public static Failure of(Instant time, String stackTrace, String task) {
      return new Failure(
          time,
          FlinkFailure.rootCause(stackTrace),
          Optional.ofNullable(task).filter(name -> !name.equals(GLOBAL)));
    }
  }

  /**
   * A completed Flink checkpoint.
   *
   * @param size bytes of state
   */
  public record Checkpoint(Instant completed, long size, Duration duration, String path) {}

  /** What the job does at the moment. */
  public String state() {
    if (!job.isAlive() || runsAll()) {
      return job.status().name();
    }
    if (deployedTasks == 0 && failure.stream().anyMatch(last -> last.cause().contains("slot"))) {
      return "WAITING FOR SLOTS";
    }
    return switch (job.status()) {
      case RUNNING, CREATED, INITIALIZING ->
          tasks > 0 && deployedTasks == 0 ? "WAITING FOR SLOTS" : "STARTING";
      default -> job.status().name();
    };
  }

  /** Whether every task runs. */
  public boolean runsAll() {
    return job.status() == org.apache.flink.api.common.JobStatus.RUNNING
        && tasks > 0
        && runningTasks == tasks;
  }
}
