package io.millrace.cli.status;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.cluster.FlinkFailure;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
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

  /** The jobs in an archive, the latest first. */
  static List<ObjectNode> in(Path archive) throws IOException {
    List<Path> files;
    try (Stream<Path> walk = Files.walk(archive, DEPTH)) {
      files =
          walk.filter(Files::isRegularFile)
              .filter(file -> file.getFileName().toString().matches(JOB_FILE))
              .toList();
    } catch (NoSuchFileException e) {
      return List.of();
    }
    List<ObjectNode> jobs = new ArrayList<>();
    for (Path file : files) {
      ObjectNode job = read(file);
      if (job != null) {
        jobs.add(job);
      }
    }
    jobs.sort(Comparator.comparing((ObjectNode job) -> job.path("ended").asText()).reversed());
    return jobs.subList(0, Math.min(MOST, jobs.size()));
  }

  private static ObjectNode read(Path file) throws IOException {
    ObjectNode job = null;
    Map<String, String> counts = new TreeMap<>();
    String failure = "";
    for (ArchivedJson archived :
        FsJsonArchivist.readArchivedJsons(new org.apache.flink.core.fs.Path(file.toUri()))) {
      JsonNode json = JSON.readTree(archived.getJson());
      if (archived.getPath().endsWith("/overview") && json.path("jobs").size() == 1) {
        JsonNode overview = json.path("jobs").path(0);
        job = JSON.createObjectNode();
        job.put("name", overview.path("name").asText());
        job.put("id", overview.path("jid").asText());
        job.put("state", overview.path("state").asText());
        job.put("started", time(overview.path("start-time")));
        job.put("ended", time(overview.path("end-time")));
      } else if (archived.getPath().endsWith("/accumulators")
          && json.has("user-task-accumulators")) {
        for (JsonNode counter : json.path("user-task-accumulators")) {
          counts.put(counter.path("name").asText(), counter.path("value").asText());
        }
      } else if (archived.getPath().endsWith("/exceptions")) {
        failure =
            json.path("exceptionHistory").path("entries").path(0).path("stacktrace").asText("");
      }
    }
    if (job != null) {
      counts.forEach(job.putObject("counts")::put);
      StatusReport.deadLetters(counts).forEach(job.putObject("dead_letters")::put);
      if (!failure.isEmpty()) {
        job.put("failure", FlinkFailure.rootCause(failure));
      }
    }
    return job;
  }

  private static String time(JsonNode millis) {
    return Instant.ofEpochMilli(millis.asLong()).toString();
  }
}
