package io.millrace.cluster;

import io.millrace.schemas.PlainFiles;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.LocalDateTime;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.stream.Stream;

/**
 * Keeps processes running. It restarts a process that ends, after a pause that doubles while the
 * process keeps ending. {@link #close} ends all processes, the last started first.
 */
final class Supervisor implements AutoCloseable {
  /** Most bytes of the output of a process that are searched for its last line. */
  private static final int MOST_OUTPUT_BYTES = 64 << 20;

  private static final Duration FIRST_PAUSE = Duration.ofMillis(500);
  private static final Duration LONGEST_PAUSE = Duration.ofSeconds(30);

  /** After this time the next pause is short again. */
  private static final Duration STEADY = Duration.ofMinutes(1);

  private static final DateTimeFormatter TIME = DateTimeFormatter.ofPattern("yyyy-MM-dd HH:mm:ss");

  private static final Duration GRACE = Duration.ofSeconds(15);

  private final ClusterDirectory directory;
  private final Consumer<String> messages;
  private final List<Supervised> supervised = new ArrayList<>();
  private volatile boolean closing;

  /**
   * @param messages takes one line with its time whenever a process ends or is started again
   */
  Supervisor(ClusterDirectory directory, Consumer<String> messages) {
    this.directory = directory;
    this.messages = messages;
  }

  /** Ends the processes of an earlier supervisor that was killed. */
  static void reap(ClusterDirectory directory) throws IOException {
    List<Path> files;
    try (Stream<Path> list = Files.list(directory.pids())) {
      files = list.filter(file -> file.toString().endsWith(".pid")).toList();
    } catch (NoSuchFileException e) {
      return;
    }
    for (Path file : files) {
      Optional<ProcessHandle> left = PidFile.read(file);
      if (left.isPresent()) {
        left.get().destroyForcibly();
        left.get().onExit().join();
      }
      Files.deleteIfExists(file);
    }
  }

  /** Starts a process and keeps it running. */
  synchronized void start(ProcessSpec spec) throws IOException {
    Supervised process = new Supervised(spec);
    process.launch();
    supervised.add(process);
    process.keeper.start();
  }

  /**
   * A process that has ended, with the last line of its output. While a cluster starts, such a
   * process means that the start failed.
   */
  synchronized Optional<String> failedToStart() {
    return supervised.stream()
        .filter(process -> process.hasEnded)
        .findFirst()
        .map(
            process ->
                "%s ended with status %d during the start; see its log %s%s"
                    .formatted(
                        process.spec.name(),
                        process.lastStatus,
                        directory.log(process.spec.name()),
                        lastLine(directory.output(process.spec.name()))));
  }

  private static String lastLine(Path file) {
    try {
      return PlainFiles.readText(file, MOST_OUTPUT_BYTES)
          .lines()
          .filter(line -> !line.isBlank() && !line.startsWith("\tat "))
          .reduce((a, b) -> b)
          .map(line -> "; its last line: " + line)
          .orElse("");
    } catch (IOException e) {
      return "";
    }
  }

  /** Passes on a line with the time, so that lines can be compared with logs. */
  private void report(String line) {
    messages.accept(TIME.format(LocalDateTime.now(ZoneId.systemDefault())) + " " + line);
  }

  @Override
  public void close() {
    closing = true;
    List<Supervised> processes;
    synchronized (this) {
      processes = List.copyOf(supervised).reversed();
    }
    for (Supervised process : processes) {
      process.end();
    }
  }

  private final class Supervised {

    private final ProcessSpec spec;
    private final Thread keeper;
    private volatile Process process;
    private volatile boolean hasEnded;
    private volatile int lastStatus;

    Supervised(ProcessSpec spec) {
      this.spec = spec;
      this.keeper = Thread.ofPlatform().daemon().name("keep-" + spec.name()).unstarted(this::keep);
    }

    private void launch() throws IOException {
      directory.emptyTemporary(spec.name());
      List<String> command = new ArrayList<>();
      // Ctrl-C reaches the whole process group; only the supervisor may end its processes.
      command.addAll(List.of("/bin/sh", "-c", "trap '' INT; exec \"$@\"", "sh"));
      command.addAll(spec.command());
      process =
          new ProcessBuilder(command)
              .redirectErrorStream(true)
              .redirectOutput(
                  ProcessBuilder.Redirect.appendTo(directory.output(spec.name()).toFile()))
              .start();
      PidFile.write(directory.pids().resolve(spec.name() + ".pid"), process.toHandle());
    }

    private void keep() {
      Duration pause = FIRST_PAUSE;
      try {
        while (!closing) {
          Instant started = Instant.now();
          lastStatus = process.waitFor();
          if (closing) {
            return;
          }
          if (Duration.between(started, Instant.now()).compareTo(STEADY) > 0) {
            pause = FIRST_PAUSE;
          }
          hasEnded = true;
          report(
              "%s ended with status %d; it starts again in %.1f s (log: %s)"
                  .formatted(
                      spec.name(),
                      lastStatus,
                      pause.toMillis() / 1000.0,
                      directory.log(spec.name())));
          Thread.sleep(pause);
          pause = pause.multipliedBy(2);
          pause = pause.compareTo(LONGEST_PAUSE) > 0 ? LONGEST_PAUSE : pause;
          relaunch();
          if (!closing) {
            report("%s is started again as process %d".formatted(spec.name(), process.pid()));
          }
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      } catch (IOException e) {
        report("%s could not be started again: %s".formatted(spec.name(), e.getMessage()));
      }
    }

    private synchronized void relaunch() throws IOException {
      if (!closing) {
        launch();
      }
    }

    private synchronized void end() {
      process.destroy();
      try {
        process.onExit().orTimeout(GRACE.toMillis(), TimeUnit.MILLISECONDS).join();
      } catch (CompletionException e) {
        process.destroyForcibly().onExit().join();
      }
      keeper.interrupt();
      try {
        Files.deleteIfExists(directory.pids().resolve(spec.name() + ".pid"));
      } catch (IOException e) {
        report("the pid file of %s could not be deleted: %s".formatted(spec.name(), e));
      }
    }
  }
}
