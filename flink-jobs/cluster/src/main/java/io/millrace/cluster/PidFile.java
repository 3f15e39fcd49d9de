package io.millrace.cluster;

import io.millrace.schemas.PlainFiles;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Instant;
import java.util.Optional;

/** A file with a process number and start time; the system reuses numbers. */
final class PidFile {
  private static final int MOST_BYTES = 4096;

  private PidFile() {}

  static void write(Path file, ProcessHandle process) throws IOException {
    Files.writeString(file, process.pid() + " " + started(process) + "\n");
  }

  /** The process, if it still runs. */
  static Optional<ProcessHandle> read(Path file) throws IOException {
    String[] words;
    try {
      words = PlainFiles.readText(file, MOST_BYTES).strip().split(" ");
    } catch (NoSuchFileException e) {
      return Optional.empty();
    }
    return words.length == 2 && words[0].matches("\\d{1,10}")
        ? ProcessHandle.of(Long.parseLong(words[0]))
            .filter(ProcessHandle::isAlive)
            .filter(process -> started(process).equals(words[1]))
        : Optional.empty();
  }

  private static String started(ProcessHandle process) {
    return process.info().startInstant().map(Instant::toString).orElse("unknown");
  }
}
