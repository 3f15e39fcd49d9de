package io.millrace.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import io.millrace.cli.status.RecordedJob;
import io.millrace.jobs.runtime.JobParameters;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** {@code millrace status} against recorded answers of Flink's REST interface. */
@Timeout(120)
class StatusCommandTest {

  private static final Duration PATIENCE = Duration.ofSeconds(60);

  @TempDir Path directory;

  private final List<RecordedJob> jobs = new CopyOnWriteArrayList<>();
  private final ByteArrayOutputStream printed = new ByteArrayOutputStream();
  private final PrintStream out = System.out;
  private final PrintStream err = System.err;
  private HttpServer rest;
  private volatile boolean down;

  @BeforeEach
  void start() throws IOException {
    rest = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    rest.createContext("/", this::answer);
    rest.start();
    Files.writeString(
        directory.resolve("cluster.json"),
        "{\"rest\": %d, \"kafka\": 1, \"zookeeper\": 1, \"metrics\": [1]}"
            .formatted(rest.getAddress().getPort()));
    PrintStream captured = new PrintStream(printed, true, StandardCharsets.UTF_8);
    System.setOut(captured);
    System.setErr(captured);
  }

  @AfterEach
  void stop() {
    System.setOut(out);
    System.setErr(err);
    rest.stop(0);
  }

  private void answer(HttpExchange exchange) throws IOException {
    String path = exchange.getRequestURI().getPath().replaceFirst("^/v1", "");
    String body = down ? null : body(path);
    byte[] bytes =
        (body == null ? "{\"errors\":[\"Service temporarily unavailable\"]}" : body)
            .getBytes(StandardCharsets.UTF_8);
    exchange.getResponseHeaders().add("Content-Type", "application/json; charset=UTF-8");
    exchange.sendResponseHeaders(body == null ? 503 : 200, bytes.length);
    exchange.getResponseBody().write(bytes);
    exchange.close();
  }

  private String body(String path) throws IOException {
    if (path.equals("/overview")) {
      return "{\"taskmanagers\":2,\"taskmanagers-blocked\":0,\"slots-total\":8,\"slots-available\":1,"
                 + "\"slots-free-and-blocked\":0,\"jobs-running\":1,\"jobs-finished\":0,"
                 + "\"jobs-cancelled\":0,\"jobs-failed\":0,\"flink-version\":\"2.3.0\","
                 + "\"flink-commit\":\"x\"}";
    }
    if (path.equals("/jobs/overview")) {
      return "{\"jobs\":[%s]}"
          .formatted(jobs.stream().map(RecordedJob::overview).collect(Collectors.joining(",")));
    }
    for (RecordedJob job : jobs) {
      String prefix = "/jobs/" + job.id();
      if (path.startsWith(prefix)) {
        return job.answers().get(path.substring(prefix.length()));
      }
    }
    return null;
  }

  private int status(String... options) {
    List<String> arguments = new ArrayList<>(List.of("status", "--cluster", directory.toString()));
    arguments.addAll(List.of(options));
    return Millrace.commandLine().execute(arguments.toArray(String[]::new));
  }

  private String printed() {
    return printed.toString(StandardCharsets.UTF_8);
  }

  private static RecordedJob waiting() {
    return new RecordedJob(1, "millrace.rollout", "RUNNING").tasks(3, 0);
  }

  private static RecordedJob restarting() {
    return new RecordedJob(2, "millrace.ppo", "RESTARTING")
        .tasks(0, 0)
        .restarts(4)
        .checkpoint(9_000, 2_500_000, "file:/state/chk-3")
        .failedCheckpoint()
        .count("topics/rollouts/accepted", 610)
        .count("topics/rollouts/deleted-unread", 10)
        .count("topics/rewards/transactions-lost", 1)
        .count("topics/rewards/too-large", 0)
        .count("topics/rollouts/dropped/stale", 245)
        .count("topics/rollouts/dead-letters/invalid", 12)
        .failure(
            10_000,
            "java.lang.RuntimeException: x\nCaused by: java.io.IOException: no space left",
            "ppo updater (1/1)");
  }

  private static RecordedJob finished() {
    return new RecordedJob(3, "millrace.supervised", "FINISHED")
        .ended(6_000)
        .checkpoint(5_000, 1, "file:/state/chk-1")
        .count("topics/demonstrations/accepted", 320)
        .count("supervised", "{demonstrations=320.0, loss=0.123456, updates=1.0E7}");
  }

  private static RecordedJob failed() {
    return new RecordedJob(4, "millrace.reward-model", "FAILED")
        .ended(7_000)
        .failure(6_900, "java.lang.IllegalStateException: the loss is NaN", "(global failure)");
  }

  @Test
  void theTextSaysWhatEachJobDoesAndWhy() {
    jobs.addAll(List.of(waiting(), restarting(), finished(), failed()));
    assertEquals(0, status(), this::printed);
    String text = printed();
    for (String expected :
        List.of(
            "2 TaskManagers, 1 of 8 slots free, 4 jobs",
            "millrace.rollout  WAITING FOR SLOTS",
            "0 of 3 run; 3 slots needed",
            "millrace.ppo  RESTARTING",
            "4 restarts",
            "in ppo updater (1/1): java.io.IOException: no space left",
            "2.5 MB, took 1.5 s, at file:/state/chk-3; 1 of the latest ones failed\n",
            "dead letters         invalid 12",
            "dropped              stale 245",
            "losses               records_deleted_unread 10, rollouts_stale 245,"
                + " transactions_lost 1",
            "millrace.supervised  FINISHED  since 1970-01-01T00:00:06Z",
            "topics/demonstrations/accepted 320\n",
            // Until its end, not until now; and what was given up before it began is no failure.
            "read                 50 records, 10.0 a second",
            "took 1.5 s, at file:/state/chk-1\n",
            "summary of supervised demonstrations 320, loss 0.1235, updates 10000000\n",
            "millrace.reward-model  FAILED",
            "1970-01-01T00:00:06.900Z: java.lang.IllegalStateException: the loss is NaN")) {
      assertTrue(text.contains(expected), expected + "\nis not in\n" + text);
    }
    assertFalse(text.contains("too-large"), text);
  }

  @Test
  void theJsonHasTheSame() throws Exception {
    Path run = directory.resolve("flink/millrace.ppo/000007");
    Files.createDirectories(run.resolve("savepoint-1"));
    Files.createFile(run.resolve("savepoint-1/_metadata"));
    jobs.add(restarting().parameter(JobParameters.RUN, run.toUri().toString()));
    jobs.add(waiting());
    assertEquals(0, status("--json"), this::printed);
    JsonNode report = new ObjectMapper().readTree(printed());
    JsonNode ppo = report.path("jobs").path(0);
    assertEquals("RESTARTING", ppo.path("state").asText());
    assertEquals(
        Map.of(
            "records_deleted_unread", 10,
            "records_too_large", 0,
            "rollouts_stale", 245,
            "transactions_lost", 1),
        new ObjectMapper().convertValue(ppo.path("losses"), Map.class));
    assertTrue(ppo.path("counts").path("topics/rollouts/accepted").isNumber());
    assertEquals(1, ppo.path("failed_flink_checkpoints").asInt());
    assertEquals(245, ppo.path("dropped").path("stale").asInt());
    assertEquals(12, ppo.path("dead_letters").path("invalid").asInt());
    assertEquals(
        "java.io.IOException: no space left", ppo.path("last_failure").path("cause").asText());
    assertEquals("ppo updater (1/1)", ppo.path("last_failure").path("task").asText());
    assertEquals(4, ppo.path("restarts").asInt());
    assertEquals(50, ppo.path("records_read").asInt());
    assertEquals(5.0, ppo.path("records_per_second").asDouble());
    assertEquals("WAITING FOR SLOTS", report.path("jobs").path(1).path("state").asText());
    assertEquals(3, report.path("jobs").path(1).path("slots_needed").asInt());
    assertEquals(
        run.resolve("savepoint-1").toString(),
        report.path("savepoints").path(0).path("path").asText());
  }

  /** A JobManager that starts again forgets jobs that have ended; the archive keeps them. */
  @Test
  void aWatchGoesOnOverAFailureOfTheJobManagerAndKeepsTheCounts() throws Exception {
    jobs.addAll(List.of(restarting(), finished(), failed()));
    Thread watch = Thread.ofPlatform().start(() -> status("--watch", "1"));
    try {
      awaitPrinted(text -> text.contains("millrace.ppo  RESTARTING"));
      finished().archive(directory.resolve("archive"));
      failed().archive(directory.resolve("archive"));
      down = true;
      awaitPrinted(text -> text.contains("Service temporarily unavailable"));
      jobs.clear();
      jobs.add(
          new RecordedJob(2, "millrace.ppo", "RUNNING")
              .tasks(0, 1)
              .count("topics/rollouts/accepted", 700));
      printed.reset();
      down = false;
      awaitPrinted(
          text ->
              text.contains("millrace.ppo  RUNNING")
                  && text.contains("topics/rollouts/accepted 700")
                  && text.contains("millrace.supervised  FINISHED")
                  && text.contains("topics/demonstrations/accepted 320")
                  && text.contains("the loss is NaN"));
      // Each report begins with the time.
      assertTrue(printed().lines().filter(line -> line.startsWith("== ")).count() >= 1);
    } finally {
      while (watch.isAlive()) {
        watch.interrupt();
        watch.join(100);
      }
    }
  }

  private void awaitPrinted(Predicate<String> condition) {
    long deadline = System.nanoTime() + PATIENCE.toNanos();
    while (!condition.test(printed())) {
      assertTrue(System.nanoTime() < deadline, this::printed);
      Thread.onSpinWait();
    }
  }

  /** Names and messages in Flink's answers come from whoever may submit a job. */
  @Test
  void whatFlinkAnswersReachesTheTerminalEscaped() {
    Millrace.escapeOutput();
    String hostile = "\u001b]0;owned\u0007 \u009b31m \u202egnp \r \u2028";
    jobs.add(
        new RecordedJob(5, "job\\u001b[2J\\nmillrace.ppo  RUNNING", "FAILED")
            .ended(9_000)
            .count("topics/prompts/dead-letters/" + hostile, 1)
            .checkpoint(9_000, 1, "file:/\\u001b[2J")
            .failure(8_000, "java.lang.RuntimeException: " + hostile, "task " + hostile));
    for (String[] options : new String[][] {{}, {"--json"}, {"\u001b[2J"}}) {
      printed.reset();
      var _ = status(options);
      String text = printed();
      assertTrue(text.toLowerCase(Locale.ROOT).contains("\\u001b"), text);
      assertTrue(text.chars().allMatch(c -> c == '\n' || !Character.isISOControl(c)), text);
      assertFalse(text.contains("\u202e") || text.contains("\u2028"), text);
      assertFalse(text.contains("\nmillrace.ppo"), "a forged line: " + text);
    }
  }

  @Test
  void withoutAJobManagerOneLineSaysSo() {
    rest.stop(0);
    assertEquals(2, status());
    assertTrue(printed().contains("nothing listens there"), printed());
    assertEquals(1, printed().lines().count(), printed());
  }
}
