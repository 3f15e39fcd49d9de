package io.millrace.cli.status;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.cluster.ClusterDirectory;
import io.millrace.cluster.FlinkClient;
import io.millrace.cluster.FlinkClient.Running;
import io.millrace.cluster.JobInspector;
import io.millrace.cluster.JobView;
import io.millrace.connectors.checkpoint.store.CheckpointStore;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.jobs.runtime.JobParameters;
import java.io.IOException;
import java.nio.file.FileStore;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;

/** Collects the state of a cluster, its jobs and their topics as one JSON object. */
public final class StatusReport {

  private static final ObjectMapper JSON = new ObjectMapper();

  private final FlinkClient client;
  private final Optional<ClusterDirectory> directory;
  private final KafkaSettings kafka;
  private final Clock clock;

  /**
   * @param directory of a cluster on this machine
   * @param kafka the settings for Kafka, of which address and prefix are those of each job
   */
  public StatusReport(
      FlinkClient client, Optional<ClusterDirectory> directory, KafkaSettings kafka, Clock clock) {
    this.client = client;
    this.directory = directory;
    this.kafka = kafka;
    this.clock = clock;
  }

  /**
   * Collects everything.
   *
   * @param name of the only job to report, or its id; empty for all
   */
  public ObjectNode collect(Optional<String> name) throws IOException {
    JobInspector inspector = new JobInspector(client);
    JobInspector.Slots slots = inspector.slots();
    ObjectNode root = JSON.createObjectNode();
    root.put("time", clock.instant().toString());
    root.put("rest", client.rest().toString());
    root.put("task_managers", slots.taskManagers());
    root.putObject("slots").put("total", slots.total()).put("free", slots.free());
    List<Running> running = name.isPresent() ? List.of(client.find(name.get())) : client.jobs();
    ArrayNode jobs = root.putArray("jobs");
    Set<String> known = new TreeSet<>();
    Map<String, Path> places = new TreeMap<>();
    Savepoints savepoints = new Savepoints();
    for (Running job : running) {
      known.add(job.id().toHexString());
      JobView view = inspector.view(job);
      jobs.add(job(view));
      Optional<Path> run = local(view.parameters().get(JobParameters.RUN));
      if (run.isPresent()) {
        savepoints.besideRun(run.get());
        places.put("flink.state-directory of " + job.name(), run.get());
      }
      local(view.parameters().get(JobParameters.CHECKPOINTS))
          .ifPresent(path -> places.put("checkpoints.directory", path));
    }
    if (directory.isPresent()) {
      if (name.isEmpty()) {
        for (FinishedJobs.Ended ended : FinishedJobs.in(directory.get().archive())) {
          if (!known.contains(ended.json().path("id").asText())) {
            jobs.add(ended.json());
          }
          Optional<Path> run = local(ended.parameters().get(JobParameters.RUN));
          if (run.isPresent()) {
            savepoints.besideRun(run.get());
          }
        }
      }
      places.put("cluster", directory.get().root());
      savepoints.in(directory.get().savepointDirectory());
    }
    root.set("savepoints", savepoints.toJson());
    root.set("disk", disk(places));
    return root;
  }

  private ObjectNode job(JobView view) {
    ObjectNode job = JSON.createObjectNode();
    job.put("name", view.job().name());
    job.put("id", view.job().id().toHexString());
    job.put("state", view.state());
    job.put("started", view.job().started().toString());
    view.ended().ifPresent(ended -> job.put("ended", ended.toString()));
    job.putObject("tasks").put("total", view.tasks()).put("running", view.runningTasks());
    job.put("slots_needed", view.slotsNeeded());
    job.put("restarts", view.restarts());
    view.failure().ifPresent(failure -> putFailure(job, failure));
    view.checkpoint()
        .ifPresent(
            checkpoint -> {
              ObjectNode node = job.putObject("last_flink_checkpoint");
              node.put("age_seconds", seconds(checkpoint.completed()));
              node.put("bytes", checkpoint.size());
              node.put("duration_seconds", checkpoint.duration().toMillis() / 1000.0);
              node.put("path", checkpoint.path());
            });
    job.put("failed_flink_checkpoints", view.failedCheckpoints());
    job.put("records_read", view.recordsRead());
    job.put("records_per_second", view.recordsPerSecond());
    new JobCounts(view.counts()).addTo(job);
    if (view.job().isAlive() && view.parameters().containsKey(JobParameters.BOOTSTRAP_SERVERS)) {
      try {
        new KafkaStatus(view.parameters(), kafka, clock).addTo(job, view.job().name());
      } catch (IOException | IllegalArgumentException e) {
        job.put("kafka_problem", e.getMessage());
      }
    }
    return job;
  }

  /** The last failure of a job, alive or ended. */
  static void putFailure(ObjectNode job, JobView.Failure failure) {
    ObjectNode node = job.putObject("last_failure");
    node.put("time", failure.time().toString());
    node.put("cause", failure.cause());
    failure.task().ifPresent(task -> node.put("task", task));
  }

  private double seconds(Instant since) {
    return Duration.between(since, clock.instant()).toMillis() / 1000.0;
  }

  /** A location on this machine; empty for none, and for one in an object store. */
  private static Optional<Path> local(String location) {
    if (location == null) {
      return Optional.empty();
    }
    String local = location.startsWith("file:") ? location.substring("file:".length()) : location;
    return CheckpointStore.isLocal(local)
        ? Optional.of(CheckpointStore.localPath(local))
        : Optional.empty();
  }

  private static ArrayNode disk(Map<String, Path> places) throws IOException {
    ArrayNode disk = JSON.createArrayNode();
    Map<String, List<Map.Entry<String, Path>>> stores =
        places.entrySet().stream()
            .filter(place -> Files.exists(place.getValue()))
            .collect(
                Collectors.groupingBy(
                    place -> store(place.getValue()), TreeMap::new, Collectors.toList()));
    for (List<Map.Entry<String, Path>> sharing : stores.values()) {
      FileStore store = Files.getFileStore(sharing.getFirst().getValue());
      ObjectNode node = disk.addObject();
      node.put("free_bytes", store.getUsableSpace());
      node.put("total_bytes", store.getTotalSpace());
      ArrayNode uses = node.putArray("used_by");
      sharing.forEach(place -> uses.add(place.getKey()));
    }
    return disk;
  }

  private static String store(Path path) {
    try {
      return Files.getFileStore(path).toString();
    } catch (IOException e) {
      return path.toString();
    }
  }
}
