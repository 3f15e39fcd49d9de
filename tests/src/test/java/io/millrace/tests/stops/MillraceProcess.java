package io.millrace.tests.stops;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.cluster.JvmFlags;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;

/** {@code millrace} as a process of its own, on the class path of the test. */
final class MillraceProcess {

  static final Duration PATIENCE = Duration.ofMinutes(4);

  private final Process process;
  private final Path output;

  private MillraceProcess(Process process, Path output) {
    this.process = process;
    this.output = output;
  }

  /**
   * Starts a command.
   *
   * @param output file for what it prints
   */
  static MillraceProcess start(Path output, List<String> arguments) throws IOException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(JvmFlags.required());
    command.addAll(List.of("-Xmx768m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"));
    command.addAll(List.of("-Dmillrace.log=" + output.resolveSibling("millrace.log")));
    command.addAll(List.of("-cp", System.getProperty("java.class.path")));
    command.add("io.millrace.cli.Millrace");
    command.addAll(arguments);
    Process process =
        new ProcessBuilder(command)
            .directory(output.getParent().toFile())
            .redirectErrorStream(true)
            .redirectOutput(output.toFile())
            .start();
    // A test run that is broken off leaves no process behind.
    Runtime.getRuntime().addShutdownHook(new Thread(process::destroyForcibly));
    return new MillraceProcess(process, output);
  }

  String output() throws IOException {
    return Files.readString(output);
  }

  /** Polls until a condition holds; fails if the process ends before. */
  void await(String what, Callable<Boolean> condition) throws Exception {
    long deadline = System.nanoTime() + PATIENCE.toNanos();
    while (!condition.call()) {
      assertTrue(process.isAlive(), () -> "ended before " + what + ": " + read());
      assertTrue(System.nanoTime() < deadline, () -> "waited in vain for " + what + ": " + read());
      TimeUnit.MILLISECONDS.sleep(50);
    }
  }

  /** SIGTERM. */
  int terminate() throws InterruptedException {
    process.destroy();
    return end();
  }

  /** SIGKILL. */
  void kill() throws InterruptedException {
    process.destroyForcibly().waitFor();
  }

  /** Waits for the end and returns the exit code. */
  int end() throws InterruptedException {
    assertTrue(
        process.waitFor(PATIENCE.toSeconds(), TimeUnit.SECONDS), () -> "does not end: " + read());
    return process.exitValue();
  }

  private String read() {
    try {
      return output();
    } catch (IOException e) {
      return e.toString();
    }
  }
}
