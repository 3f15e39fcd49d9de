package io.millrace.campaign;

import io.millrace.jobs.Job;
import io.millrace.jobs.config.ConfigTree;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.runtime.LocalCluster;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.apache.flink.api.common.JobExecutionResult;
import org.apache.flink.api.common.JobID;
import org.apache.flink.api.common.JobStatus;
import org.apache.flink.runtime.jobgraph.SavepointRestoreSettings;
import org.apache.flink.streaming.api.graph.StreamGraph;

/**
 * A job of a stage. It continues from the last Flink checkpoint of an interrupted attempt. A job
 * that has ended leaves no Flink checkpoint.
 */
final class StageJob {

  private static final String COMPLETE = "_metadata";

  private final LocalCluster cluster;
  private final Job job;
  private final MillraceConfig config;
  private final Path state;

  /**
   * A job that is not submitted yet.
   *
   * @param state directory of this job's Flink checkpoints only
   */
  StageJob(LocalCluster cluster, Job job, ConfigTree tree, Path state) {
    this.cluster = cluster;
    this.job = job;
    this.state = state;
    this.config = tree.config(List.of("flink.state-directory=" + state)).withAbsolutePaths();
  }

  /** Whether an interrupted attempt left a Flink checkpoint. */
  boolean isInterrupted() throws IOException {
    return lastCheckpoint(state).isPresent();
  }

  JobID submit(boolean bounded) throws Exception {
    StreamGraph graph = job.graph(config, bounded);
    lastCheckpoint(state)
        .ifPresent(
            checkpoint ->
                graph.setSavepointRestoreSettings(
                    SavepointRestoreSettings.forPath(checkpoint.toUri().toString(), false)));
    return cluster.submit(graph);
  }

  /** An action that is repeated while a job runs. */
  interface Watch {
    /** Acts once, and may wait a little. */
    void poll() throws Exception;
  }

  /** Runs the job to the end of its input. */
  JobExecutionResult runToEnd(Watch watch) throws Exception {
    JobID id = submit(true);
    while (cluster.status(id) != JobStatus.FINISHED) {
      cluster.requireAlive(id);
      watch.poll();
    }
    return cluster.await(id);
  }

  /** Lets an unbounded job finish the records that it has read, and ends it. */
  JobExecutionResult drain(JobID id) throws Exception {
    return cluster.drain(id, state.resolve("savepoints"));
  }

  /** The newest complete Flink checkpoint of all attempts below a directory. */
  static Optional<Path> lastCheckpoint(Path state) throws IOException {
    if (!Files.isDirectory(state)) {
      return Optional.empty();
    }
    Path newest = null;
    FileTime at = null;
    try (Stream<Path> attempts = Files.list(state)) {
      for (Path attempt : attempts.filter(Files::isDirectory).toList()) {
        try (Stream<Path> checkpoints = Files.list(attempt)) {
          for (Path checkpoint :
              checkpoints
                  .filter(path -> path.getFileName().toString().startsWith("chk-"))
                  .toList()) {
            Path metadata = checkpoint.resolve(COMPLETE);
            if (Files.exists(metadata)) {
              FileTime time = Files.getLastModifiedTime(metadata);
              if (at == null || time.compareTo(at) > 0) {
                newest = checkpoint;
                at = time;
              }
            }
          }
        }
      }
    }
    return Optional.ofNullable(newest);
  }
}
