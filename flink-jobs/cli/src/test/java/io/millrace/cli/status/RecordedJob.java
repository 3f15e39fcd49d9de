package io.millrace.cli.status;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.flink.runtime.history.FsJsonArchivist;
import org.apache.flink.runtime.webmonitor.history.ArchivedJson;

/**
 * A job as Flink's REST interface answers about it. The answers have the form of those that Flink
 * 2.3 gave.
 */
public final class RecordedJob {

  private static final ObjectMapper JSON = new ObjectMapper();

  private final String id;
  private final String name;
  private final String state;
  private final Map<String, Object> counts = new TreeMap<>();
  private final Map<String, String> parameters = new TreeMap<>();
  private final ArrayNode failures = JSON.createArrayNode();
  private long ended = -1;
  private int scheduled;
  private int running;
  private long restarts;
  private String checkpoint = "null";
  private String failedCheckpoint = "";

  /**
   * @param number makes the id
   * @param state Flink's status of the job
   */
  public RecordedJob(int number, String name, String state) {
    this.id = "%032x".formatted(number);
    this.name = name;
    this.state = state;
  }

  public String id() {
    return id;
  }

  public RecordedJob ended(long millis) {
    this.ended = millis;
    return this;
  }

  /** Numbers of tasks that wait for a slot, and that run. */
  public RecordedJob tasks(int waiting, int active) {
    this.scheduled = waiting;
    this.running = active;
    return this;
  }

  public RecordedJob restarts(long number) {
    this.restarts = number;
    return this;
  }

  public RecordedJob count(String accumulator, Object value) {
    counts.put(accumulator, value);
    return this;
  }

  public RecordedJob parameter(String key, String value) {
    parameters.put(key, value);
    return this;
  }

  public RecordedJob failure(long millis, String stackTrace, String task) {
    ObjectNode failure = failures.addObject();
    failure.putObject("failureLabels");
    failure
        .put("exceptionName", stackTrace.lines().findFirst().orElseThrow())
        .put("stacktrace", stackTrace)
        .put("timestamp", millis)
        .put("taskName", task)
        .put("endpoint", "127.0.0.1:1")
        .put("taskManagerId", "tm")
        .putArray("concurrentExceptions");
    return this;
  }

  /** A completed Flink checkpoint. */
  public RecordedJob checkpoint(long millis, long bytes, String path) {
    checkpoint =
        ("{\"className\":\"completed\",\"id\":3,\"status\":\"COMPLETED\",\"is_savepoint\":false,"
                + "\"savepointFormat\":null,\"trigger_timestamp\":%d,\"latest_ack_timestamp\":%d,"
                + "\"checkpointed_size\":%d,\"state_size\":%d,\"end_to_end_duration\":1500,"
                + "\"alignment_buffered\":0,\"processed_data\":0,\"persisted_data\":0,"
                + "\"num_subtasks\":1,\"num_acknowledged_subtasks\":1,"
                + "\"checkpoint_type\":\"CHECKPOINT\",\"tasks\":{},\"external_path\":\"%s\","
                + "\"discarded\":false}")
            .formatted(millis, millis, bytes, bytes, path);
    return this;
  }

  /** A Flink checkpoint that began and failed. */
  public RecordedJob failedCheckpoint() {
    failedCheckpoint =
        "{\"className\":\"failed\",\"id\":2,\"status\":\"FAILED\",\"is_savepoint\":false,"
            + "\"savepointFormat\":null,\"trigger_timestamp\":1,\"latest_ack_timestamp\":1,"
            + "\"checkpointed_size\":0,\"state_size\":0,\"end_to_end_duration\":1,"
            + "\"alignment_buffered\":0,\"processed_data\":0,\"persisted_data\":0,"
            + "\"num_subtasks\":1,\"num_acknowledged_subtasks\":0,"
            + "\"checkpoint_type\":\"CHECKPOINT\",\"tasks\":{},\"failure_timestamp\":2,"
            + "\"failure_message\":\"expired\"}";
    return this;
  }

  /** The job's entry in the list of jobs. */
  public String overview() {
    return ("{\"jid\":\"%s\",\"name\":\"%s\",\"start-time\":1000,\"end-time\":%d,\"duration\":1,"
            + "\"state\":\"%s\",\"last-modification\":1000,\"tasks\":{\"running\":%d,"
            + "\"canceling\":0,\"canceled\":0,\"total\":%d,\"created\":0,\"scheduled\":%d,"
            + "\"deploying\":0,\"reconciling\":0,\"finished\":0,\"initializing\":0,\"failed\":0},"
            + "\"pending-operators\":0,\"job-type\":\"STREAMING\"}")
        .formatted(id, name, ended, state, running, running + scheduled, scheduled);
  }

  /** Answers by path below {@code /jobs/ID}. */
  public Map<String, String> answers() throws IOException {
    return Map.of(
        "",
        ("{\"jid\":\"%s\",\"name\":\"%s\",\"isStoppable\":false,\"state\":\"%s\","
                + "\"job-type\":\"STREAMING\",\"start-time\":1000,\"end-time\":%d,\"duration\":1,"
                + "\"maxParallelism\":-1,\"now\":11000,\"timestamps\":{\"RUNNING\":1000},"
                + "\"vertices\":[{\"id\":\"%032x\",\"slotSharingGroupId\":\"%032x\","
                + "\"name\":\"Source: rollouts\",\"maxParallelism\":128,\"parallelism\":%d,"
                + "\"status\":\"RUNNING\",\"start-time\":1000,\"end-time\":-1,\"duration\":1,"
                + "\"tasks\":{%s},\"metrics\":%s}],\"status-counts\":{},\"plan\":{\"jid\":\"\","
                + "\"name\":\"\",\"type\":\"STREAMING\",\"nodes\":[]},\"stream-graph\":null,"
                + "\"pending-operators\":0}")
            .formatted(id, name, state, ended, 1, 2, running + scheduled, tasks(), metrics()),
        "/checkpoints",
        ("{\"counts\":{\"restored\":0,\"total\":4,\"in_progress\":0,\"completed\":3,\"failed\":5},"
             + "\"summary\":{\"checkpointed_size\":%1$s,\"state_size\":%1$s,"
             + "\"end_to_end_duration\":%1$s,\"alignment_buffered\":%1$s,\"processed_data\":%1$s,"
             + "\"persisted_data\":%1$s},\"latest\":{\"completed\":%2$s,\"savepoint\":null,"
             + "\"failed\":null,\"restored\":null},\"history\":[%3$s]}")
            .formatted(
                "{\"min\":0,\"max\":0,\"avg\":0,\"p50\":0,\"p90\":0,\"p95\":0,\"p99\":0,\"p999\":0}",
                checkpoint,
                failedCheckpoint),
        "/exceptions",
        "{\"exceptionHistory\":{\"entries\":%s,\"truncated\":false}}".formatted(failures),
        "/metrics",
        "[{\"id\":\"numRestarts\",\"value\":\"%d\"}]".formatted(restarts),
        "/accumulators",
        accumulators(),
        "/config",
        JSON.createObjectNode()
            .put("jid", id)
            .put("name", name)
            .set(
                "execution-config",
                ((ObjectNode)
                        JSON.readTree(
                            "{\"restart-strategy\":\"x\",\"job-parallelism\":1,"
                                + "\"object-reuse-mode\":false}"))
                    .set("user-config", JSON.valueToTree(parameters)))
            .toString());
  }

  private String tasks() {
    return ("\"CREATED\":0,\"SCHEDULED\":%d,\"DEPLOYING\":0,\"INITIALIZING\":0,\"RUNNING\":%d,"
            + "\"FINISHED\":0,\"CANCELING\":0,\"CANCELED\":0,\"FAILED\":0,\"RECONCILING\":0")
        .formatted(scheduled, running);
  }

  /** Records that the sources have emitted. */
  private static String metrics() {
    return ("{\"read-bytes\":0,\"read-bytes-complete\":true,\"write-bytes\":0,"
            + "\"write-bytes-complete\":true,\"read-records\":0,\"read-records-complete\":true,"
            + "\"write-records\":%d,\"write-records-complete\":true,"
            + "\"accumulated-backpressured-time\":0,\"accumulated-idle-time\":0,"
            + "\"accumulated-busy-time\":0.0}")
        .formatted(50);
  }

  private String accumulators() {
    ObjectNode root = JSON.createObjectNode();
    root.putArray("job-accumulators");
    ArrayNode list = root.putArray("user-task-accumulators");
    counts.forEach(
        (counter, value) ->
            list.addObject()
                .put("name", counter)
                .put("type", "LongCounter")
                .put("value", value.toString()));
    root.putObject("serialized-user-task-accumulators");
    return root.toString();
  }

  /** Writes the job as Flink archives it when it ends. */
  public void archive(Path directory) throws IOException {
    Files.createDirectories(directory);
    Collection<ArchivedJson> answers = new ArrayList<>();
    answers.add(new ArchivedJson("/jobs/overview", "{\"jobs\":[%s]}".formatted(overview())));
    for (Map.Entry<String, String> answer : answers().entrySet()) {
      answers.add(new ArchivedJson("/jobs/" + id + answer.getKey(), answer.getValue()));
    }
    FsJsonArchivist.writeArchivedJsons(
        new org.apache.flink.core.fs.Path(directory.resolve(id).toUri()), List.copyOf(answers));
  }
}
