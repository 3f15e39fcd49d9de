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
 * A job of a stage. It goes on from the last Flink checkpoint that an interrupted attempt left; one
 * that ended leaves none.
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
   * @param state directory of its Flink checkpoints, and of no other's
   */
  StageJob(LocalCluster cluster, Job job, ConfigTree tree, Path state) {
    this.cluster = cluster;
    this.job = job;
    this.state = state;
    this.config = tree.config(List.of("flink.state-directory=" + state)).withAbsolutePaths();
  }

  /** Whether an interrupted attempt left something to go on from. */
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

  /** Something that is looked at while a job runs. */
  interface Watch {
    /** Looks, waiting a little. */
    void look() throws Exception;
  }

  /** Runs the job to the end of its input. */
  JobExecutionResult runToEnd(Watch watch) throws Exception {
    JobID id = submit(true);
    while (cluster.status(id) != JobStatus.FINISHED) {
      cluster.requireAlive(id);
      watch.look();
    }
    return cluster.await(id);
  }

  /** Lets a job that was submitted unbounded finish what it has, and end. */
  JobExecutionResult drain(JobID id) throws Exception {
    return cluster.drain(id, state.resolve("savepoints"));
  }

  /** The newest complete Flink checkpoint below a directory, of whichever attempt. */
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
