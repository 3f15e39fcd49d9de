package io.millrace.cli.status;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.cluster.JobView;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.apache.flink.runtime.history.FsJsonArchivist;
import org.apache.flink.runtime.webmonitor.history.ArchivedJson;

/**
 * Jobs that have ended, from Flink's archive: a JobManager that starts again no longer knows them.
 */
final class FinishedJobs {

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String JOB_FILE = "[0-9a-f]{32}";
  private static final int DEPTH = 6;
  private static final int MOST = 50;

  private FinishedJobs() {}

  /**
   * A job that has ended.
   *
   * @param json its part of the report
   * @param parameters what the job carried, see {@link io.millrace.jobs.runtime.JobParameters}
   */
  record Ended(ObjectNode json, Map<String, String> parameters) {}

  /** The jobs in an archive, the latest first. */
  static List<Ended> in(Path archive) throws IOException {
    List<Path> files;
    try (Stream<Path> walk = Files.walk(archive, DEPTH)) {
      files =
          walk.filter(Files::isRegularFile)
              .filter(file -> file.getFileName().toString().matches(JOB_FILE))
              .toList();
    } catch (NoSuchFileException e) {
      return List.of();
    }
    List<Ended> jobs = new ArrayList<>();
    for (Path file : files) {
      read(file).ifPresent(jobs::add);
    }
    jobs.sort(Comparator.comparing((Ended job) -> job.json().path("ended").asText()).reversed());
    return jobs.subList(0, Math.min(MOST, jobs.size()));
  }

  private static Optional<Ended> read(Path file) throws IOException {
    ObjectNode job = null;
    Map<String, String> counts = new TreeMap<>();
    Map<String, String> parameters = new TreeMap<>();
    Optional<JobView.Failure> failure = Optional.empty();
    for (ArchivedJson archived :
        FsJsonArchivist.readArchivedJsons(new org.apache.flink.core.fs.Path(file.toUri()))) {
      JsonNode json = JSON.readTree(archived.getJson());
      if (archived.getPath().endsWith("/overview") && json.path("jobs").size() == 1) {
        JsonNode overview = json.path("jobs").path(0);
        job = JSON.createObjectNode();
        job.put("name", overview.path("name").asText());
        job.put("id", overview.path("jid").asText());
        job.put("state", overview.path("state").asText());
        job.put("started", time(overview.path("start-time")).toString());
        job.put("ended", time(overview.path("end-time")).toString());
      } else if (archived.getPath().endsWith("/accumulators")
          && json.has("user-task-accumulators")) {
        for (JsonNode counter : json.path("user-task-accumulators")) {
          counts.put(counter.path("name").asText(), counter.path("value").asText());
        }
      } else if (archived.getPath().endsWith("/config")) {
        json.path("execution-config")
            .path("user-config")
            .properties()
            .forEach(entry -> parameters.put(entry.getKey(), entry.getValue().asText()));
      } else if (archived.getPath().endsWith("/exceptions")) {
        failure = failure(json.path("exceptionHistory").path("entries"));
      }
    }
    if (job == null) {
      return Optional.empty();
    }
    new JobCounts(counts).addTo(job);
    if (failure.isPresent()) {
      StatusReport.putFailure(job, failure.get());
    }
    return Optional.of(new Ended(job, parameters));
  }

  private static Optional<JobView.Failure> failure(JsonNode history) {
    return history
        .valueStream()
        .max(Comparator.comparingLong(entry -> entry.path("timestamp").asLong()))
        .map(
            entry ->
                JobView.Failure.of(
                    time(entry.path("timestamp")),
                    entry.path("stacktrace").asText(""),
                    entry.path("taskName").asText(null)));
  }

  private static Instant time(JsonNode millis) {
    return Instant.ofEpochMilli(millis.asLong());
  }
}
