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
import io.millrace.connectors.flink.decode.Totals;
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
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Collects the state of a cluster, its jobs and their topics as one JSON object. */
public final class StatusReport {

  private static final ObjectMapper JSON = new ObjectMapper();

  private final FlinkClient client;
  private final Optional<ClusterDirectory> directory;
  private final Map<String, String> kafkaProperties;
  private final Clock clock;

  /**
   * @param directory of a cluster on this machine
   * @param kafkaProperties client properties for Kafka, such as security settings
   */
  public StatusReport(
      FlinkClient client,
      Optional<ClusterDirectory> directory,
      Map<String, String> kafkaProperties,
      Clock clock) {
    this.client = client;
    this.directory = directory;
    this.kafkaProperties = kafkaProperties;
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
    for (Running job : running) {
      known.add(job.id().toHexString());
      JobView view = inspector.view(job);
      jobs.add(job(view));
      place(
          places,
          "flink.state-directory of " + job.name(),
          view.parameters().get(JobParameters.RUN));
      place(places, "checkpoints.directory", view.parameters().get(JobParameters.CHECKPOINTS));
    }
    if (directory.isPresent()) {
      if (name.isEmpty()) {
        for (ObjectNode ended : FinishedJobs.in(directory.get().archive())) {
          if (!known.contains(ended.path("id").asText())) {
            jobs.add(ended);
          }
        }
      }
      places.put("cluster", directory.get().root());
      root.set("savepoints", savepoints(directory.get().savepointDirectory()));
    }
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
    view.failure()
        .ifPresent(
            failure -> {
              ObjectNode node = job.putObject("last_failure");
              node.put("time", failure.time().toString());
              node.put("cause", failure.cause());
              failure.task().ifPresent(task -> node.put("task", task));
            });
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
    ObjectNode counts = job.putObject("counts");
    view.counts().forEach(counts::put);
    ObjectNode refused = job.putObject("dead_letters");
    deadLetters(view.counts()).forEach(refused::put);
    if (view.job().isAlive() && view.parameters().containsKey(JobParameters.BOOTSTRAP_SERVERS)) {
      try {
        new KafkaStatus(view.parameters(), kafkaProperties, clock).addTo(job, view.job().name());
      } catch (IOException | IllegalArgumentException e) {
        job.put("kafka_problem", e.getMessage());
      }
    }
    return job;
  }

  /** Dead letters by reason, of all topics together. */
  static SortedMap<String, Long> deadLetters(Map<String, String> counts) {
    SortedMap<String, Long> reasons = new TreeMap<>();
    counts.forEach(
        (counter, value) -> {
          int at = counter.indexOf("/" + Totals.DEAD_LETTERS);
          if (at >= 0) {
            String reason = counter.substring(at + 1 + Totals.DEAD_LETTERS.length());
            reasons.merge(reason, Long.parseLong(value), Long::sum);
          }
        });
    return reasons;
  }

  private double seconds(Instant since) {
    return Duration.between(since, clock.instant()).toMillis() / 1000.0;
  }

  private static ArrayNode savepoints(Path directory) throws IOException {
    ArrayNode savepoints = JSON.createArrayNode();
    if (Files.isDirectory(directory)) {
      try (Stream<Path> list = Files.list(directory)) {
        for (Path savepoint :
            list.filter(path -> Files.exists(path.resolve("_metadata"))).sorted().toList()) {
          savepoints
              .addObject()
              .put("path", savepoint.toString())
              .put("time", Files.getLastModifiedTime(savepoint).toInstant().toString());
        }
      }
    }
    return savepoints;
  }

  private static void place(Map<String, Path> places, String name, String location) {
    if (location == null) {
      return;
    }
    String local = location.startsWith("file:") ? location.substring("file:".length()) : location;
    if (CheckpointStore.isLocal(local)) {
      places.put(name, CheckpointStore.localPath(local));
    }
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
