package io.millrace.cluster;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SupervisorTest {

  private static final Duration PATIENCE = Duration.ofMinutes(1);

  private final List<String> messages = Collections.synchronizedList(new ArrayList<>());
  @TempDir private Path root;
  private ClusterDirectory directory;

  @BeforeEach
  void create() throws Exception {
    directory = new ClusterDirectory(root);
    directory.create();
  }

  private static ProcessSpec shell(String name, String script) {
    return new ProcessSpec(name, List.of("/bin/sh", "-c", script));
  }

  private Optional<ProcessHandle> running(String name) throws Exception {
    return PidFile.read(directory.pids().resolve(name + ".pid"));
  }

  private static void await(String what, Callable<Boolean> condition) throws Exception {
    long deadline = System.nanoTime() + PATIENCE.toNanos();
    while (!condition.call()) {
      assertTrue(System.nanoTime() < deadline, "waited in vain for " + what);
      TimeUnit.MILLISECONDS.sleep(10);
    }
  }

  @Test
  void restartsAKilledProcessAndEndsAllOnClose() throws Exception {
    ProcessHandle second;
    try (Supervisor supervisor = new Supervisor(directory, messages::add)) {
      supervisor.start(shell("sleeper", "exec sleep 600"));
      ProcessHandle first = running("sleeper").orElseThrow();
      assertTrue(first.destroyForcibly());
      await(
          "another process",
          () -> running("sleeper").filter(now -> now.pid() != first.pid()).isPresent());
      second = running("sleeper").orElseThrow();
      String line = "\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d sleeper ";
      String ended = messages.getFirst();
      assertTrue(ended.matches(line + "ended with status 137; it starts again in .*"), ended);
      await("the second line", () -> messages.size() == 2);
      assertTrue(
          messages.getLast().matches(line + "is started again as process " + second.pid()),
          messages.getLast());
    }
    assertFalse(second.isAlive());
    assertEquals(Optional.empty(), running("sleeper"));
    assertEquals(2, messages.size(), messages.toString());
  }

  @Test
  void reportsTheLastLineOfAProcessThatDoesNotStart() throws Exception {
    try (Supervisor supervisor = new Supervisor(directory, messages::add)) {
      supervisor.start(shell("broken", "echo the port is taken; exit 3"));
      await("the failure", () -> supervisor.failedToStart().isPresent());
      String failure = supervisor.failedToStart().orElseThrow();
      assertTrue(failure.startsWith("broken ended with status 3"), failure);
      assertTrue(failure.contains(directory.log("broken").toString()), failure);
      assertTrue(failure.endsWith("its last line: the port is taken"), failure);
    }
  }

  @Test
  void endsTheProcessesOfAKilledSupervisor() throws Exception {
    Process left = new ProcessBuilder("sleep", "600").start();
    PidFile.write(directory.pids().resolve("left.pid"), left.toHandle());
    Supervisor.reap(directory);
    assertFalse(left.isAlive());
    assertEquals(Optional.empty(), running("left"));
  }

  @Test
  void sparesAnotherProcessWithTheSameNumber() throws Exception {
    Process other = new ProcessBuilder("sleep", "600").start();
    try {
      Files.writeString(
          directory.pids().resolve("left.pid"), other.pid() + " 1970-01-01T00:00:00Z\n");
      Supervisor.reap(directory);
      assertTrue(other.isAlive());
    } finally {
      other.destroyForcibly();
    }
  }
}
