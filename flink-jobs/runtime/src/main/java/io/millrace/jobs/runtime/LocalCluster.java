package io.millrace.jobs.runtime;

import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;
import org.apache.flink.api.common.JobExecutionResult;
import org.apache.flink.api.common.JobID;
import org.apache.flink.api.common.JobStatus;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.HeartbeatManagerOptions;
import org.apache.flink.configuration.JobManagerOptions;
import org.apache.flink.configuration.MemorySize;
import org.apache.flink.configuration.RestOptions;
import org.apache.flink.configuration.TaskManagerOptions;
import org.apache.flink.configuration.WebOptions;
import org.apache.flink.core.execution.SavepointFormatType;
import org.apache.flink.runtime.jobgraph.JobGraph;
import org.apache.flink.runtime.jobgraph.SavepointRestoreSettings;
import org.apache.flink.runtime.jobmaster.JobResult;
import org.apache.flink.runtime.minicluster.MiniCluster;
import org.apache.flink.runtime.minicluster.MiniClusterConfiguration;
import org.apache.flink.streaming.api.graph.StreamGraph;
import org.apache.flink.util.OptionalFailure;
import org.apache.flink.util.SerializedValue;

/** Flink in this process: real jobs, Flink checkpoints and recovery, no installation. */
public final class LocalCluster implements AutoCloseable {

  private static final String LOOPBACK = "127.0.0.1";

  private final MiniCluster cluster;

  private LocalCluster(MiniCluster cluster) {
    this.cluster = cluster;
  }

  /** Starts a cluster with room for as many tasks side by side. */
  public static LocalCluster start(int slots) throws Exception {
    return start(slots, Map.of());
  }

  /**
   * Starts a cluster with room for as many tasks side by side.
   *
   * @param properties settings of Flink on top of its own defaults
   */
  public static LocalCluster start(int slots, Map<String, String> properties) throws Exception {
    Configuration configuration = Configuration.fromMap(properties);
    configuration.set(RestOptions.BIND_PORT, "0");
    configuration.set(RestOptions.ADDRESS, LOOPBACK);
    configuration.set(RestOptions.BIND_ADDRESS, LOOPBACK);
    configuration.set(JobManagerOptions.BIND_HOST, LOOPBACK);
    configuration.set(TaskManagerOptions.BIND_HOST, LOOPBACK);
    configuration.set(WebOptions.ACCESS_CONTROL_ALLOW_ORIGIN, "http://" + LOOPBACK);
    configuration.set(TaskManagerOptions.MANAGED_MEMORY_SIZE, MemorySize.ofMebiBytes(16));
    configuration.set(TaskManagerOptions.NETWORK_MEMORY_MIN, MemorySize.ofMebiBytes(64));
    configuration.set(TaskManagerOptions.NETWORK_MEMORY_MAX, MemorySize.ofMebiBytes(64));
    // Everything is one process: what misses a heartbeat is busy, not gone.
    configuration.set(HeartbeatManagerOptions.HEARTBEAT_TIMEOUT, Duration.ofMinutes(5));
    MiniCluster cluster =
        new MiniCluster(
            new MiniClusterConfiguration.Builder()
                .setConfiguration(configuration)
                .setNumTaskManagers(1)
                .setNumSlotsPerTaskManager(slots)
                .build());
    cluster.start();
    return new LocalCluster(cluster);
  }

  /** Address of Flink's REST interface, on this machine only. */
  public URI rest() throws ExecutionException, InterruptedException {
    return cluster.getRestAddress().get();
  }

  public JobID submit(StreamGraph graph) throws Exception {
    return cluster.submitJob(graph.getJobGraph()).get().getJobID();
  }

  /**
   * Submits a job that continues from a state.
   *
   * @param restore its place
   */
  public JobID submit(StreamGraph graph, SavepointRestoreSettings restore) throws Exception {
    JobGraph job = graph.getJobGraph();
    job.setSavepointRestoreSettings(restore);
    return cluster.submitJob(job).get().getJobID();
  }

  /** Waits for a bounded job to end. */
  public JobExecutionResult await(JobID job) throws Exception {
    return cluster
        .requestJobResult(job)
        .get()
        .toJobExecutionResult(LocalCluster.class.getClassLoader());
  }

  /**
   * Waits for a bounded job to end.
   *
   * @param every how often it tells how it gets on
   * @param counts takes the job's accumulators so far, by name
   */
  public JobExecutionResult await(
      JobID job, Duration every, Consumer<? super Map<String, Object>> counts) throws Exception {
    CompletableFuture<JobResult> result = cluster.requestJobResult(job);
    while (true) {
      try {
        return result
            .get(every.toMillis(), TimeUnit.MILLISECONDS)
            .toJobExecutionResult(LocalCluster.class.getClassLoader());
      } catch (TimeoutException e) {
        counts.accept(accumulators(job));
      }
    }
  }

  /** A job's accumulators so far, by name. */
  public Map<String, Object> accumulators(JobID job) throws Exception {
    Map<String, Object> values = new TreeMap<>();
    for (Map.Entry<String, SerializedValue<OptionalFailure<Object>>> entry :
        cluster.getExecutionGraph(job).get().getAccumulatorsSerialized().entrySet()) {
      OptionalFailure<Object> value =
          entry.getValue().deserializeValue(LocalCluster.class.getClassLoader());
      if (!value.isFailure()) {
        values.put(entry.getKey(), value.get());
      }
    }
    return values;
  }

  public JobStatus status(JobID job) throws ExecutionException, InterruptedException {
    return cluster.getJobStatus(job).get();
  }

  /** Throws with the reason where one of the jobs ended before its time. */
  public void requireAlive(JobID... jobs) throws Exception {
    for (JobID job : jobs) {
      JobStatus status = status(job);
      if (status.isGloballyTerminalState() && status != JobStatus.FINISHED) {
        var _ = await(job);
      }
    }
  }

  /** Stops a job where it is; its last Flink checkpoint stays. */
  public void cancel(JobID job) throws Exception {
    cluster.cancelJob(job).get();
    var _ = cluster.requestJobResult(job).get();
  }

  /**
   * Stops a job with a savepoint, from which it can continue.
   *
   * @param savepoints path or URI of the directory for the savepoint
   * @return the savepoint's path or URI
   * @throws TimeoutException if the savepoint takes longer than {@code patience}
   */
  public String stop(JobID job, String savepoints, Duration patience)
      throws ExecutionException, InterruptedException, TimeoutException {
    return cluster
        .stopWithSavepoint(job, savepoints, false, SavepointFormatType.CANONICAL)
        .get(patience.toMillis(), TimeUnit.MILLISECONDS);
  }

  /** Lets a job finish what it has, publish, take a savepoint and end. */
  public JobExecutionResult drain(JobID job, Path savepoints) throws Exception {
    cluster
        .stopWithSavepoint(job, savepoints.toUri().toString(), true, SavepointFormatType.CANONICAL)
        .get();
    return await(job);
  }

  @Override
  public void close() {
    cluster.closeAsync().join();
  }
}
