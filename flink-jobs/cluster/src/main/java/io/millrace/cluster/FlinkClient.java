package io.millrace.cluster;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.net.URI;
import java.time.Duration;
import java.time.Instant;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Collectors;
import org.apache.flink.api.common.JobExecutionResult;
import org.apache.flink.api.common.JobID;
import org.apache.flink.api.common.JobStatus;
import org.apache.flink.client.program.rest.RestClusterClient;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.RestOptions;
import org.apache.flink.core.execution.RecoveryClaimMode;
import org.apache.flink.core.execution.SavepointFormatType;
import org.apache.flink.runtime.client.JobStatusMessage;
import org.apache.flink.runtime.jobgraph.JobGraph;
import org.apache.flink.runtime.jobgraph.SavepointRestoreSettings;
import org.apache.flink.runtime.rest.messages.EmptyMessageParameters;
import org.apache.flink.runtime.rest.messages.EmptyRequestBody;
import org.apache.flink.runtime.rest.messages.JobMessageParameters;
import org.apache.flink.runtime.rest.messages.checkpoints.CheckpointStatistics.CompletedCheckpointStatistics;
import org.apache.flink.runtime.rest.messages.checkpoints.CheckpointingStatistics;
import org.apache.flink.runtime.rest.messages.checkpoints.CheckpointingStatisticsHeaders;
import org.apache.flink.runtime.rest.messages.taskmanager.TaskManagersHeaders;
import org.apache.flink.streaming.api.graph.StreamGraph;

/**
 * Gives jobs to a Flink cluster through its REST interface, and asks after them. A job goes as its
 * graph alone, without a jar: its classes and native libraries are on the processes' own class
 * path, so that a job that restarts, or a second one, loads no library twice.
 */
public final class FlinkClient implements AutoCloseable {

  private static final Duration ANSWER = Duration.ofSeconds(30);

  /** A savepoint waits for what is being learned. */
  private static final Duration SAVEPOINT = Duration.ofMinutes(10);

  private final URI rest;
  private final RestClusterClient<String> client;

  private FlinkClient(URI rest, RestClusterClient<String> client) {
    this.rest = rest;
    this.client = client;
  }

  /** A job as it stands. */
  public record Running(JobID id, String name, JobStatus status, Instant started) {

    /** Whether it runs, or will run again by itself. */
    public boolean isAlive() {
      return !status.isGloballyTerminalState();
    }
  }

  /**
   * What a job goes on from after a failure.
   *
   * @param count completed so far by this JobManager
   * @param completed when the last one completed
   * @param path where it lies
   * @param restored how many times the job went on from one
   */
  public record FlinkCheckpoints(
      long count, long restored, Optional<Instant> completed, Optional<String> path) {}

  public static FlinkClient of(Ports ports) throws IOException {
    return at(URI.create("http://" + Ports.HOST + ":" + ports.rest()));
  }

  /**
   * A client of any Flink cluster whose processes have Millrace's jars on their class path.
   *
   * @param rest such as {@code http://localhost:8081}
   */
  public static FlinkClient at(URI rest) throws IOException {
    if (rest.getHost() == null || !"http".equals(rest.getScheme())) {
      throw new IOException(
          "Flink's REST address is '%s'; it must be like http://localhost:8081".formatted(rest));
    }
    Configuration configuration = new Configuration();
    configuration.set(RestOptions.ADDRESS, rest.getHost());
    configuration.set(RestOptions.PORT, rest.getPort() < 0 ? 80 : rest.getPort());
    configuration.set(RestOptions.CONNECTION_TIMEOUT, Duration.ofSeconds(5));
    configuration.set(RestOptions.RETRY_MAX_ATTEMPTS, 0);
    try {
      return new FlinkClient(rest, new RestClusterClient<>(configuration, rest.toString()));
    } catch (Exception e) {
      throw new IOException("no client for Flink at %s: %s".formatted(rest, e.getMessage()), e);
    }
  }

  public URI rest() {
    return rest;
  }

  /** TaskManagers that have registered. */
  public int taskManagers() throws IOException {
    return get(
            client.sendRequest(
                TaskManagersHeaders.getInstance(),
                EmptyMessageParameters.getInstance(),
                EmptyRequestBody.getInstance()),
            ANSWER,
            "list its TaskManagers")
        .getTaskManagerInfos()
        .size();
  }

  /** Every job that Flink remembers, the latest first. */
  public List<Running> jobs() throws IOException {
    return get(client.listJobs(), ANSWER, "list its jobs").stream()
        .sorted(Comparator.comparingLong(JobStatusMessage::getStartTime).reversed())
        .map(
            message ->
                new Running(
                    message.getJobId(),
                    message.getJobName(),
                    message.getJobState(),
                    Instant.ofEpochMilli(message.getStartTime())))
        .toList();
  }

  /**
   * The one job that a person means.
   *
   * @param name a job's name with or without the topic prefix, or Flink's id of it
   * @throws IOException when none or several that are alive are called so
   */
  public Running find(String name) throws IOException {
    List<Running> alive = jobs().stream().filter(Running::isAlive).toList();
    List<Running> found =
        alive.stream()
            .filter(
                job ->
                    job.name().equals(name)
                        || job.name().endsWith("." + name)
                        || job.id().toHexString().equals(name))
            .toList();
    return switch (found.size()) {
      case 1 -> found.getFirst();
      case 0 ->
          throw new IOException(
              "no job '%s' runs on %s; there %s"
                  .formatted(
                      name,
                      rest,
                      alive.isEmpty()
                          ? "is none"
                          : "are "
                              + alive.stream()
                                  .map(Running::name)
                                  .collect(Collectors.joining(", "))));
      default ->
          throw new IOException(
              "%d jobs are called '%s'; name one by its id: %s"
                  .formatted(
                      found.size(),
                      name,
                      found.stream()
                          .map(job -> job.name() + " " + job.id().toHexString())
                          .collect(Collectors.joining(", "))));
    };
  }

  /**
   * Submits a job.
   *
   * @param savepoint a savepoint or retained Flink checkpoint to go on from; it is left as it is
   * @throws IOException when one of its name is alive: two would learn from every record twice
   */
  public JobID submit(StreamGraph graph, Optional<String> savepoint) throws IOException {
    String name = graph.getJobName();
    Optional<Running> other = firstAlive(name);
    if (other.isPresent()) {
      throw new IOException(
          "%s already is %s on %s; stop it first: millrace stop %s"
              .formatted(name, other.get().status(), rest, name));
    }
    JobGraph jobGraph = graph.getJobGraph();
    savepoint.ifPresent(
        path ->
            jobGraph.setSavepointRestoreSettings(
                SavepointRestoreSettings.forPath(path, false, RecoveryClaimMode.NO_CLAIM)));
    JobID submitted = get(client.submitJob(jobGraph), ANSWER, "take the job");
    // Flink takes any number of jobs of one name: of two submitted at once, both look again, and
    // both find the same one first.
    Optional<Running> first = firstAlive(name);
    if (first.isPresent() && !first.get().id().equals(submitted)) {
      get(client.cancel(submitted), ANSWER, "cancel the second of two jobs");
      throw new IOException(
          "%s was submitted to %s by somebody else at the same moment, as %s; this one is cancelled"
              .formatted(name, rest, first.get().id()));
    }
    return submitted;
  }

  private Optional<Running> firstAlive(String name) throws IOException {
    return jobs().stream()
        .filter(job -> job.name().equals(name) && job.isAlive())
        .min(Comparator.comparing(Running::started).thenComparing(job -> job.id().toHexString()));
  }

  public JobStatus status(JobID job) throws IOException {
    return get(client.getJobStatus(job), ANSWER, "tell a job's status");
  }

  /** The Flink checkpoints of a job. */
  public FlinkCheckpoints checkpoints(JobID job) throws IOException {
    JobMessageParameters parameters = new JobMessageParameters();
    parameters.jobPathParameter.resolve(job);
    CheckpointingStatistics statistics =
        get(
            client.sendRequest(
                CheckpointingStatisticsHeaders.getInstance(),
                parameters,
                EmptyRequestBody.getInstance()),
            ANSWER,
            "tell a job's Flink checkpoints");
    Optional<CompletedCheckpointStatistics> last =
        Optional.ofNullable(statistics.getLatestCheckpoints().getCompletedCheckpointStatistics());
    return new FlinkCheckpoints(
        statistics.getCounts().getNumberCompletedCheckpoints(),
        statistics.getCounts().getNumberRestoredCheckpoints(),
        last.map(checkpoint -> Instant.ofEpochMilli(checkpoint.getLatestAckTimestamp())),
        last.map(CompletedCheckpointStatistics::getExternalPath));
  }

  /** Takes a savepoint and returns where it lies; the job goes on. */
  public String savepoint(JobID job, Optional<String> directory) throws IOException {
    return get(
        client.triggerSavepoint(job, directory.orElse(null), SavepointFormatType.CANONICAL),
        SAVEPOINT,
        "take a savepoint");
  }

  /**
   * Ends a job with a savepoint, and returns where that lies.
   *
   * @param drain also finishes what was begun and publishes it, as at the end of a bounded run;
   *     such a savepoint is not for going on from
   */
  public String stop(JobID job, boolean drain, Optional<String> directory) throws IOException {
    return get(
        client.stopWithSavepoint(job, drain, directory.orElse(null), SavepointFormatType.CANONICAL),
        SAVEPOINT,
        "stop the job with a savepoint");
  }

  /** What a job that has ended left, or the failure it ended with. */
  public JobExecutionResult result(JobID job) throws IOException {
    try {
      return get(client.requestJobResult(job), ANSWER, "tell a job's result")
          .toJobExecutionResult(FlinkClient.class.getClassLoader());
    } catch (ClassNotFoundException e) {
      throw new IOException("the cluster runs another version of Millrace: " + e.getMessage(), e);
    } catch (org.apache.flink.runtime.client.JobExecutionException e) {
      throw new IOException(FlinkFailure.oneLine(e), e);
    }
  }

  @Override
  public void close() {
    client.close();
  }

  private <T> T get(CompletableFuture<T> future, Duration patience, String action)
      throws IOException {
    try {
      return future.get(patience.toMillis(), TimeUnit.MILLISECONDS);
    } catch (ExecutionException e) {
      throw new IOException(
          "Flink at %s did not %s: %s".formatted(rest, action, FlinkFailure.oneLine(e)), e);
    } catch (TimeoutException e) {
      throw new IOException(
          "Flink at %s did not %s within %d s".formatted(rest, action, patience.toSeconds()), e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("interrupted while Flink was asked to " + action);
    }
  }
}
