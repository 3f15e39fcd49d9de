package io.millrace.tests.cluster;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.millrace.cluster.ClusterDirectory;
import io.millrace.cluster.JvmFlags;
import io.millrace.cluster.Ports;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;
import java.util.stream.Stream;

/** {@code millrace cluster}, run from the built jars as a user would, and its processes to kill. */
final class ClusterUnderTest {

  static final Duration PATIENCE = Duration.ofMinutes(4);
  private static final Path BUILT =
      Path.of("..", "flink-jobs", "cli", "target", "distribution", "lib").toAbsolutePath();
  private static final ObjectMapper JSON = new ObjectMapper();

  private final Path directory;
  private final Process supervisor;
  private final Ports ports;

  private ClusterUnderTest(Path directory, Process supervisor, Ports ports) {
    this.directory = directory;
    this.supervisor = supervisor;
    this.ports = ports;
  }

  static ClusterUnderTest start(Path directory, int taskManagers, String... more) throws Exception {
    Path output = directory.resolveSibling(directory.getFileName() + ".out");
    List<String> command =
        new ArrayList<>(
            List.of(
                "cluster",
                "--dir",
                directory.toString(),
                "--task-managers",
                Integer.toString(taskManagers),
                "--kafka-port",
                "0",
                "--rest-port",
                "0",
                "--zookeeper-port",
                "0",
                "--metrics-port",
                "0"));
    command.addAll(List.of(more));
    Process supervisor =
        millrace(command.toArray(String[]::new))
            .redirectErrorStream(true)
            .redirectOutput(output.toFile())
            .start();
    // A test run that is broken off leaves no cluster behind.
    Runtime.getRuntime().addShutdownHook(new Thread(supervisor::destroy));
    try {
      await(
          "the cluster to be ready",
          () -> {
            // In this order: what a process printed before it died is in the file.
            boolean alive = supervisor.isAlive();
            String said = Files.readString(output);
            assertTrue(alive, said);
            return said.contains("Ready with " + taskManagers + " TaskManager");
          });
      return new ClusterUnderTest(
          directory, supervisor, new ClusterDirectory(directory).ports().orElseThrow());
    } catch (Exception | AssertionError e) {
      supervisor.destroy();
      throw e;
    }
  }

  Ports ports() {
    return ports;
  }

  /** Runs a command against this cluster and returns what it printed. */
  String run(String... arguments) throws IOException, InterruptedException {
    Outcome outcome = tryRun(Map.of(), arguments);
    assertEquals(
        0,
        outcome.status(),
        () -> String.join(" ", arguments) + "\n" + outcome.errors() + outcome.out());
    return outcome.out();
  }

  /** Runs a command that needs no cluster, and returns what it printed. */
  String withoutCluster(String... arguments) throws IOException, InterruptedException {
    Process process = millrace(arguments).redirectErrorStream(true).start();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), said);
    return said;
  }

  /** Runs a command that must fail, and returns its errors. */
  String refused(String... arguments) throws IOException, InterruptedException {
    return refused(Map.of(), arguments);
  }

  /**
   * Runs a command that must fail, and returns its errors.
   *
   * @param environment variables of the command alone
   */
  String refused(Map<String, String> environment, String... arguments)
      throws IOException, InterruptedException {
    Outcome outcome = tryRun(environment, arguments);
    assertNotEquals(0, outcome.status(), () -> String.join(" ", arguments) + "\n" + outcome.out());
    return outcome.errors();
  }

  private record Outcome(int status, String out, String errors) {}

  private Outcome tryRun(Map<String, String> environment, String... arguments)
      throws IOException, InterruptedException {
    List<String> command = new ArrayList<>(List.of(arguments));
    command.addAll(List.of("--cluster", directory.toString()));
    Path errors = Files.createTempFile(directory, "command", ".err");
    ProcessBuilder builder = millrace(command.toArray(String[]::new));
    builder.environment().putAll(environment);
    Process process = builder.redirectError(errors.toFile()).start();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    int status = process.waitFor();
    return new Outcome(status, said.strip(), read(errors));
  }

  private static String read(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      return e.toString();
    }
  }

  /** Every process but the supervisor, by name. */
  List<String> processes() throws IOException {
    try (Stream<Path> files = Files.list(directory.resolve("run"))) {
      return files.map(file -> file.getFileName().toString().replace(".pid", "")).sorted().toList();
    }
  }

  /** SIGKILL; returns when the supervisor has started another in its place. */
  void kill(String process) throws Exception {
    ProcessHandle victim = process(process).orElseThrow();
    assertTrue(victim.destroyForcibly(), process + " could not be killed");
    await(
        process + " to be started again",
        () -> process(process).filter(now -> now.pid() != victim.pid()).isPresent());
  }

  /** Kills the supervisor itself, and waits until no process of the cluster is left. */
  void killSupervisor() throws Exception {
    List<ProcessHandle> children = new ArrayList<>();
    for (String name : processes()) {
      process(name).ifPresent(children::add);
    }
    supervisor.destroyForcibly().waitFor();
    await(
        "the processes to notice that their supervisor is gone",
        () -> children.stream().noneMatch(ProcessHandle::isAlive));
  }

  /** Ids of all processes, by name; the supervisor's too. */
  Map<String, Long> pids() throws IOException {
    Map<String, Long> pids = new TreeMap<>(Map.of("supervisor", supervisor.pid()));
    for (String name : processes()) {
      process(name).ifPresent(process -> pids.put(name, process.pid()));
    }
    return pids;
  }

  private Optional<ProcessHandle> process(String name) throws IOException {
    String[] words =
        Files.readString(directory.resolve("run").resolve(name + ".pid")).strip().split(" ");
    return words[0].isEmpty()
        ? Optional.empty()
        : ProcessHandle.of(Long.parseLong(words[0])).filter(ProcessHandle::isAlive);
  }

  /** The TaskManager in which a running job's first tasks are. */
  String taskManagerOf(String jobName) throws Exception {
    return taskManagerOf(jobName, _ -> true);
  }

  /** The TaskManager of the first task of a running job whose name is wanted. */
  String taskManagerOf(String jobName, Predicate<String> wanted) throws Exception {
    String[] found = new String[1];
    await(
        jobName + " to run",
        () -> {
          for (JsonNode job : rest("/jobs/overview").path("jobs")) {
            if (job.path("name").asText().equals(jobName)
                && job.path("state").asText().equals("RUNNING")) {
              String path = "/jobs/" + job.path("jid").asText();
              for (JsonNode vertex : rest(path).path("vertices")) {
                if (wanted.test(vertex.path("name").asText())) {
                  found[0] =
                      rest(path + "/vertices/" + vertex.path("id").asText() + "/taskmanagers")
                          .path("taskmanagers")
                          .path(0)
                          .path("taskmanager-id")
                          .asText("");
                  break;
                }
              }
            }
          }
          return found[0] != null && processes().contains(found[0]);
        });
    return found[0];
  }

  private JsonNode rest(String path) throws IOException, InterruptedException {
    try (HttpClient client = HttpClient.newHttpClient()) {
      HttpRequest request =
          HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + ports.rest() + path))
              .timeout(Duration.ofSeconds(10))
              .build();
      return JSON.readTree(client.send(request, HttpResponse.BodyHandlers.ofString()).body());
    }
  }

  /** Polls until a condition holds; a service that does not answer means "not yet". */
  static void await(String what, Callable<Boolean> condition) throws Exception {
    long deadline = System.nanoTime() + PATIENCE.toNanos();
    Exception last = null;
    while (System.nanoTime() < deadline) {
      try {
        if (condition.call()) {
          return;
        }
        last = null;
      } catch (IOException | ExecutionException e) {
        last = e;
      }
      TimeUnit.MILLISECONDS.sleep(100);
    }
    throw new AssertionError("waited " + PATIENCE + " in vain for " + what, last);
  }

  private static ProcessBuilder millrace(String... arguments) {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(JvmFlags.required());
    command.addAll(List.of("-Xmx512m", "-XX:+UseSerialGC"));
    command.add("-cp");
    command.add(BUILT + "/*");
    command.add("io.millrace.cli.Millrace");
    command.addAll(Arrays.asList(arguments));
    return new ProcessBuilder(command);
  }

  /** Stops the supervisor and with it every process. */
  void stop() throws InterruptedException {
    supervisor.destroy();
    if (!supervisor.waitFor(PATIENCE.toSeconds(), TimeUnit.SECONDS)) {
      supervisor.destroyForcibly();
    }
  }
}
