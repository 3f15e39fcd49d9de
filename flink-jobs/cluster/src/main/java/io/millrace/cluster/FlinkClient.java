package io.millrace.cluster;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.net.URI;
import java.time.Duration;
import java.time.Instant;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
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
import org.apache.flink.core.execution.SavepointFormatType;
import org.apache.flink.runtime.client.JobStatusMessage;
import org.apache.flink.runtime.jobgraph.JobGraph;
import org.apache.flink.runtime.jobgraph.SavepointRestoreSettings;
import org.apache.flink.runtime.rest.messages.EmptyMessageParameters;
import org.apache.flink.runtime.rest.messages.EmptyRequestBody;
import org.apache.flink.runtime.rest.messages.JobConfigHeaders;
import org.apache.flink.runtime.rest.messages.JobConfigInfo;
import org.apache.flink.runtime.rest.messages.JobMessageParameters;
import org.apache.flink.runtime.rest.messages.MessageParameters;
import org.apache.flink.runtime.rest.messages.ResponseBody;
import org.apache.flink.runtime.rest.messages.RuntimeMessageHeaders;
import org.apache.flink.runtime.rest.messages.checkpoints.CheckpointStatistics.CompletedCheckpointStatistics;
import org.apache.flink.runtime.rest.messages.checkpoints.CheckpointingStatistics;
import org.apache.flink.runtime.rest.messages.checkpoints.CheckpointingStatisticsHeaders;
import org.apache.flink.runtime.rest.messages.taskmanager.TaskManagersHeaders;
import org.apache.flink.streaming.api.graph.StreamGraph;

/**
 * Submits jobs to a Flink cluster through its REST interface, and observes and stops them. A job is
 * submitted as a graph without a jar: its classes and native libraries are on the class path of the
 * processes, which load each library once.
 */
public final class FlinkClient implements AutoCloseable {

  private static final Duration ANSWER = Duration.ofSeconds(30);

  /** A savepoint may wait for a long update. */
  private static final Duration SAVEPOINT = Duration.ofMinutes(10);

  private final URI rest;
  private final RestClusterClient<String> client;

  private FlinkClient(URI rest, RestClusterClient<String> client) {
    this.rest = rest;
    this.client = client;
  }

  /** A job and its status. */
  public record Running(JobID id, String name, JobStatus status, Instant started) {

    /** Whether the job runs or restarts by itself. */
    public boolean isAlive() {
      return !status.isGloballyTerminalState();
    }
  }

  /**
   * The Flink checkpoints of a job.
   *
   * @param count number completed so far by this JobManager
   * @param restored number of times that the job resumed from one
   * @param completed completion time of the last one
   * @param path path or URI of the last one
   */
  public record FlinkCheckpoints(
      long count, long restored, Optional<Instant> completed, Optional<String> path) {}

  /** A client of a cluster on this machine. */
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
          "--rest must be an address like http://localhost:8081, not '%s'".formatted(rest));
    }
    Configuration configuration = new Configuration();
    configuration.set(RestOptions.ADDRESS, rest.getHost());
    configuration.set(RestOptions.PORT, rest.getPort() < 0 ? 80 : rest.getPort());
    configuration.set(RestOptions.CONNECTION_TIMEOUT, Duration.ofSeconds(5));
    configuration.set(RestOptions.RETRY_MAX_ATTEMPTS, 0);
    try {
      return new FlinkClient(rest, new RestClusterClient<>(configuration, rest.toString()));
    } catch (Exception e) {
      throw new IOException(
          "no client could be made for Flink at %s (--rest): %s".formatted(rest, e.getMessage()),
          e);
    }
  }

  public URI rest() {
    return rest;
  }

  /** Number of registered TaskManagers. */
  public int taskManagers() throws IOException {
    return request(
            TaskManagersHeaders.getInstance(),
            EmptyMessageParameters.getInstance(),
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

  /** A job by its id. */
  public Running running(JobID id) throws IOException {
    return jobs().stream()
        .filter(job -> job.id().equals(id))
        .findFirst()
        .orElseThrow(
            () -> new IOException("Flink at %s does not know the job %s".formatted(rest, id)));
  }

  /**
   * Finds a job that is alive.
   *
   * @param name the job's name with or without the topic prefix, or its id in Flink
   * @throws IOException if no job or several jobs match
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
              "JOB '%s' does not run on %s; %s"
                  .formatted(
                      name,
                      rest,
                      alive.isEmpty()
                          ? "no job runs there"
                          : "these jobs run: "
                              + alive.stream()
                                  .map(Running::name)
                                  .collect(Collectors.joining(", "))));
      default ->
          throw new IOException(
              "%d jobs have the name JOB '%s'; use the id of one: %s"
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
   * @param restore the state to continue from
   * @throws IOException if a job of the same name is alive: two jobs would learn from every record
   *     twice
   */
  public JobID submit(StreamGraph graph, SavepointRestoreSettings restore) throws IOException {
    return submit(graph.getJobGraph(), restore);
  }

  /** Submits a job, see {@link #submit(StreamGraph, SavepointRestoreSettings)}. */
  public JobID submit(JobGraph jobGraph, SavepointRestoreSettings restore) throws IOException {
    String name = jobGraph.getName();
    requireNoOther(name);
    jobGraph.setSavepointRestoreSettings(restore);
    JobID submitted = get(client.submitJob(jobGraph), ANSWER, "accept the job");
    // Flink accepts several jobs of one name. Two clients that submit at the same time both see the
    // same job first.
    Optional<Running> first = firstAlive(name);
    if (first.isPresent() && !first.get().id().equals(submitted)) {
      get(client.cancel(submitted), ANSWER, "cancel the second job");
      throw new IOException(
          "%s was submitted to %s at the same time by another client, as %s; this job is cancelled"
              .formatted(name, rest, first.get().id()));
    }
    return submitted;
  }

  /**
   * Checks that no job of a name is alive.
   *
   * @throws IOException if there is one
   */
  public void requireNoOther(String name) throws IOException {
    Optional<Running> other = firstAlive(name);
    if (other.isPresent()) {
      throw new IOException(
          "%s is already %s on %s; stop it first: millrace stop %s --rest %s"
              .formatted(name, other.get().status(), rest, name.replaceFirst("^.*\\.", ""), rest));
    }
  }

  private Optional<Running> firstAlive(String name) throws IOException {
    return jobs().stream()
        .filter(job -> job.name().equals(name) && job.isAlive())
        .min(Comparator.comparing(Running::started).thenComparing(job -> job.id().toHexString()));
  }

  public JobStatus status(JobID job) throws IOException {
    return get(client.getJobStatus(job), ANSWER, "report the status of a job");
  }

  /** Cancels a job, which keeps its last Flink checkpoint. */
  public void cancel(JobID job) throws IOException {
    get(client.cancel(job), ANSWER, "cancel a job");
  }

  /** Sends a request without a body. */
  <M extends MessageParameters, R extends ResponseBody> R request(
      RuntimeMessageHeaders<EmptyRequestBody, R, M> headers, M parameters, String action)
      throws IOException {
    return get(
        client.sendRequest(headers, parameters, EmptyRequestBody.getInstance()), ANSWER, action);
  }

  CheckpointingStatistics statistics(JobID job) throws IOException {
    JobMessageParameters parameters = new JobMessageParameters();
    parameters.jobPathParameter.resolve(job);
    return request(
        CheckpointingStatisticsHeaders.getInstance(),
        parameters,
        "report the Flink checkpoints of a job");
  }

  /** Statistics of a job's Flink checkpoints. */
  public FlinkCheckpoints checkpoints(JobID job) throws IOException {
    CheckpointingStatistics statistics = statistics(job);
    Optional<CompletedCheckpointStatistics> last =
        Optional.ofNullable(statistics.getLatestCheckpoints().getCompletedCheckpointStatistics());
    return new FlinkCheckpoints(
        statistics.getCounts().getNumberCompletedCheckpoints(),
        statistics.getCounts().getNumberRestoredCheckpoints(),
        last.map(checkpoint -> Instant.ofEpochMilli(checkpoint.getLatestAckTimestamp())),
        last.map(CompletedCheckpointStatistics::getExternalPath));
  }

  /**
   * The parameters that a job carries, see {@link io.millrace.jobs.runtime.JobParameters}; without
   * those if another version of Millrace submitted it.
   */
  public Map<String, String> parameters(JobID job) throws IOException {
    JobMessageParameters parameters = new JobMessageParameters();
    parameters.jobPathParameter.resolve(job);
    JobConfigInfo.ExecutionConfigInfo config =
        request(JobConfigHeaders.getInstance(), parameters, "report the configuration of a job")
            .getExecutionConfigInfo();
    return config == null ? Map.of() : config.getGlobalJobParameters();
  }

  /**
   * Takes a savepoint of a job, which continues.
   *
   * @return its path or URI
   */
  public String savepoint(JobID job, Optional<String> directory) throws IOException {
    return get(
        client.triggerSavepoint(job, directory.orElse(null), SavepointFormatType.CANONICAL),
        SAVEPOINT,
        "take a savepoint");
  }

  /**
   * Stops a job with a savepoint.
   *
   * @param drain whether the job first learns from incomplete batches and publishes, as at the end
   *     of a bounded run; a job cannot continue from such a savepoint
   * @return the savepoint's path or URI
   */
  public String stop(JobID job, boolean drain, Optional<String> directory) throws IOException {
    return get(
        client.stopWithSavepoint(job, drain, directory.orElse(null), SavepointFormatType.CANONICAL),
        SAVEPOINT,
        "stop the job with a savepoint");
  }

  /**
   * The result of a job that has ended.
   *
   * @throws IOException with the cause if the job failed
   */
  public JobExecutionResult result(JobID job) throws IOException {
    try {
      return get(client.requestJobResult(job), ANSWER, "report the result of a job")
          .toJobExecutionResult(FlinkClient.class.getClassLoader());
    } catch (ClassNotFoundException e) {
      throw new IOException(
          "the cluster must run the same version of Millrace: " + e.getMessage(), e);
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
      throw new InterruptedIOException("interrupted while waiting for Flink to " + action);
    }
  }
}
