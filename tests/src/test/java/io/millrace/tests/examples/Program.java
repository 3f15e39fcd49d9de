package io.millrace.tests.examples;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** A program that prints lines. */
final class Program implements AutoCloseable {
  private static final int PATIENCE_SECONDS = 90;

  private final List<String> command;
  private final Process process;
  private final Path errors;
  private final BlockingQueue<String> lines = new LinkedBlockingQueue<>();
  private final Thread reader;

  private Program(List<String> command, Process process, Path errors) {
    this.command = command;
    this.process = process;
    this.errors = errors;
    this.reader = Thread.ofVirtual().start(this::read);
  }

  static Program start(Path directory, List<String> command) throws IOException {
    return start(directory, command, Map.of());
  }

  static Program start(Path directory, List<String> command, Map<String, String> environment)
      throws IOException {
    Path errors = Files.createTempFile("millrace-example", ".err");
    errors.toFile().deleteOnExit();
    ProcessBuilder builder =
        new ProcessBuilder(command).directory(directory.toFile()).redirectError(errors.toFile());
    builder.environment().putAll(environment);
    // Python would leave its compiled files beside the examples.
    builder.environment().put("PYTHONDONTWRITEBYTECODE", "1");
    return new Program(command, builder.start(), errors);
  }

  /** Whether a command exists and exits with 0. */
  static boolean works(List<String> command) throws InterruptedException {
    try {
      Process process =
          new ProcessBuilder(command)
              .redirectErrorStream(true)
              .redirectOutput(ProcessBuilder.Redirect.DISCARD)
              .start();
      return process.waitFor(PATIENCE_SECONDS, TimeUnit.SECONDS) && process.exitValue() == 0;
    } catch (IOException e) {
      return false; // There is none of that name.
    }
  }

  private void read() {
    try (BufferedReader output = process.inputReader()) {
      output.lines().forEach(lines::add);
    } catch (IOException e) {
      lines.add(e.toString());
    }
  }

  /** The next line that the program prints. */
  String nextLine() throws InterruptedException, IOException {
    String line = lines.poll(PATIENCE_SECONDS, TimeUnit.SECONDS);
    if (line == null) {
      throw new AssertionError(
          "%s printed no line in %d s; errors: %s"
              .formatted(command, PATIENCE_SECONDS, Files.readString(errors)));
    }
    return line;
  }

  /** All lines of a program that ends by itself, with exit code 0. */
  List<String> output() throws InterruptedException, IOException {
    if (!process.waitFor(PATIENCE_SECONDS, TimeUnit.SECONDS)) {
      process.destroyForcibly();
      throw new AssertionError(
          "%s runs for more than %d s; errors: %s"
              .formatted(command, PATIENCE_SECONDS, Files.readString(errors)));
    }
    reader.join();
    assertEquals(0, process.exitValue(), Files.readString(errors));
    List<String> printed = new ArrayList<>();
    lines.drainTo(printed);
    return printed;
  }

  @Override
  public void close() {
    process.destroyForcibly().onExit().join();
  }
}
