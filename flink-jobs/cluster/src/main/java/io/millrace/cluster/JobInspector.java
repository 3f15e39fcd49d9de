package io.millrace.cluster;

import io.millrace.cluster.FlinkClient.Running;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import org.apache.flink.api.common.JobStatus;
import org.apache.flink.runtime.checkpoint.CheckpointStatsStatus;
import org.apache.flink.runtime.execution.ExecutionState;
import org.apache.flink.runtime.rest.handler.legacy.messages.ClusterOverviewWithVersion;
import org.apache.flink.runtime.rest.messages.ClusterOverviewHeaders;
import org.apache.flink.runtime.rest.messages.EmptyMessageParameters;
import org.apache.flink.runtime.rest.messages.JobAccumulatorsHeaders;
import org.apache.flink.runtime.rest.messages.JobAccumulatorsMessageParameters;
import org.apache.flink.runtime.rest.messages.JobExceptionsHeaders;
import org.apache.flink.runtime.rest.messages.JobExceptionsInfoWithHistory.RootExceptionInfo;
import org.apache.flink.runtime.rest.messages.JobMessageParameters;
import org.apache.flink.runtime.rest.messages.checkpoints.CheckpointStatistics.CompletedCheckpointStatistics;
import org.apache.flink.runtime.rest.messages.checkpoints.CheckpointingStatistics;
import org.apache.flink.runtime.rest.messages.job.JobDetailsHeaders;
import org.apache.flink.runtime.rest.messages.job.JobDetailsInfo;
import org.apache.flink.runtime.rest.messages.job.JobDetailsInfo.JobVertexDetailsInfo;
import org.apache.flink.runtime.rest.messages.job.JobExceptionsMessageParameters;
import org.apache.flink.runtime.rest.messages.job.metrics.JobMetricsHeaders;
import org.apache.flink.runtime.rest.messages.job.metrics.JobMetricsMessageParameters;

/** Asks Flink how a cluster and its jobs are. */
public final class JobInspector {

  private static final String RESTARTS = "numRestarts";

  private final FlinkClient client;

  public JobInspector(FlinkClient client) {
    this.client = client;
  }

  /**
   * The slots of a cluster.
   *
   * @param free slots without a task
   */
  public record Slots(int taskManagers, int total, int free) {}

  public Slots slots() throws IOException {
    ClusterOverviewWithVersion overview =
        client.request(
            ClusterOverviewHeaders.getInstance(),
            EmptyMessageParameters.getInstance(),
            "report its slots");
    return new Slots(
        overview.getNumTaskManagersConnected(),
        overview.getNumSlotsTotal(),
        overview.getNumSlotsAvailable());
  }

  /** Everything that Flink knows of a job. */
  public JobView view(Running job) throws IOException {
    JobMessageParameters parameters = new JobMessageParameters();
    parameters.jobPathParameter.resolve(job.id());
    JobDetailsInfo details =
        client.request(JobDetailsHeaders.getInstance(), parameters, "describe a job");
    CheckpointingStatistics checkpoints = client.statistics(job.id());
    List<RootExceptionInfo> failures = failures(job);
    return new JobView(
        new Running(job.id(), job.name(), details.getJobStatus(), job.started()),
        client.parameters(job.id()),
        count(details, ExecutionState.values()),
        count(details, ExecutionState.RUNNING, ExecutionState.FINISHED),
        count(
            details,
            ExecutionState.DEPLOYING,
            ExecutionState.INITIALIZING,
            ExecutionState.RUNNING,
            ExecutionState.FINISHED),
        slotsNeeded(details.getJobVertexInfos()),
        restarts(job),
        failures.stream()
            .max(Comparator.comparingLong(RootExceptionInfo::getTimestamp))
            .map(JobInspector::failure),
        Optional.ofNullable(checkpoints)
            .map(statistics -> statistics.getLatestCheckpoints().getCompletedCheckpointStatistics())
            .map(JobInspector::checkpoint),
        checkpoints == null ? 0 : failed(checkpoints),
        recordsRead(details),
        recordsRead(details) * 1000.0 / Math.max(1, millisRunning(details)),
        counts(job),
        details.getEndTime() > 0
            ? Optional.of(Instant.ofEpochMilli(details.getEndTime()))
            : Optional.empty());
  }

  private long restarts(Running job) throws IOException {
    JobMetricsMessageParameters parameters = new JobMetricsMessageParameters();
    parameters.jobPathParameter.resolve(job.id());
    parameters.metricsFilterParameter.resolve(List.of(RESTARTS));
    return client
        .request(JobMetricsHeaders.getInstance(), parameters, "report the restarts of a job")
        .getMetrics()
        .stream()
        .mapToLong(metric -> Long.parseLong(metric.getValue()))
        .findFirst()
        .orElse(0);
  }

  private static long recordsRead(JobDetailsInfo details) {
    return details.getJobVertexInfos().stream()
        .filter(vertex -> vertex.getName().startsWith("Source: "))
        .mapToLong(vertex -> vertex.getJobVertexMetrics().getRecordsWritten())
        .sum();
  }

  /**
   * Flink's own count has also what it gave up before it began, as it does at each start while a
   * task does not run yet. Its history has only what began.
   */
  private static long failed(CheckpointingStatistics checkpoints) {
    return checkpoints.getHistory().stream()
        .filter(checkpoint -> checkpoint.getStatus() == CheckpointStatsStatus.FAILED)
        .count();
  }

  /** Up to the end of a job that has ended. */
  private static long millisRunning(JobDetailsInfo details) {
    long until = details.getEndTime() > 0 ? details.getEndTime() : details.getNow();
    return until - details.getTimestamps().getOrDefault(JobStatus.RUNNING, 0L);
  }

  private static int count(JobDetailsInfo details, ExecutionState... states) {
    int sum = 0;
    for (JobVertexDetailsInfo vertex : details.getJobVertexInfos()) {
      for (ExecutionState state : states) {
        sum += vertex.getTasksPerState().getOrDefault(state, 0);
      }
    }
    return sum;
  }

  /** Tasks of one slot sharing group share slots, one of each vertex in a slot. */
  private static int slotsNeeded(Collection<JobVertexDetailsInfo> vertices) {
    Map<Object, Integer> groups = new HashMap<>();
    for (JobVertexDetailsInfo vertex : vertices) {
      groups.merge(vertex.getSlotSharingGroupId(), vertex.getParallelism(), Math::max);
    }
    return groups.values().stream().mapToInt(Integer::intValue).sum();
  }

  private List<RootExceptionInfo> failures(Running job) throws IOException {
    JobExceptionsMessageParameters parameters = new JobExceptionsMessageParameters();
    parameters.jobPathParameter.resolve(job.id());
    return client
        .request(JobExceptionsHeaders.getInstance(), parameters, "report the failures of a job")
        .getExceptionHistory()
        .getEntries();
  }

  private static JobView.Failure failure(RootExceptionInfo failure) {
    return JobView.Failure.of(
        Instant.ofEpochMilli(failure.getTimestamp()),
        failure.getStacktrace(),
        failure.getTaskName());
  }

  private static JobView.Checkpoint checkpoint(CompletedCheckpointStatistics statistics) {
    return new JobView.Checkpoint(
        Instant.ofEpochMilli(statistics.getLatestAckTimestamp()),
        statistics.getStateSize(),
        Duration.ofMillis(statistics.getDuration()),
        statistics.getExternalPath());
  }

  private SortedMap<String, String> counts(Running job) throws IOException {
    JobAccumulatorsMessageParameters parameters = new JobAccumulatorsMessageParameters();
    parameters.jobPathParameter.resolve(job.id());
    SortedMap<String, String> counts = new TreeMap<>();
    client
        .request(JobAccumulatorsHeaders.getInstance(), parameters, "report the counts of a job")
        .getUserAccumulators()
        .forEach(counter -> counts.put(counter.getName(), counter.getValue()));
    return counts;
  }
}
