package io.millrace.jobs.models;

import io.millrace.connectors.checkpoint.store.CheckpointStore;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.PlainFiles;
import io.millrace.schemas.UnusableRecordException;
import io.millrace.schemas.Validation;
import io.millrace.schemas.wire.JsonLines;
import io.millrace.schemas.wire.TextLines;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.apache.avro.specific.SpecificRecordBase;

/** Records from a file in JSON Lines that a configuration names. */
public final class RecordFile {

  /** Bad lines that a message lists. */
  private static final int LISTED = 5;

  private RecordFile() {}

  /** Reads one line. */
  public interface Line<T> {

    /**
     * The record of a line.
     *
     * @param origin where the line is, such as {@code line 3}
     * @throws UnusableRecordException if it has none
     */
    T read(String line, String origin);
  }

  /** The judgment of a line. */
  public static Judgment judgment(String line, String origin) {
    return Validation.require(JsonLines.read(Judgment.class, line));
  }

  /**
   * All records of a file.
   *
   * @param option that names the file
   * @param file path or URI
   * @throws IOException if the file cannot be read, is empty, or has bad lines; the message lists
   *     the first bad lines
   */
  public static <T extends SpecificRecordBase> List<T> lines(
      String option, String file, Line<T> format) throws IOException {
    List<T> records = new ArrayList<>();
    List<String> problems = new ArrayList<>();
    try (TextLines lines = new TextLines(CheckpointStore.read(file))) {
      for (Optional<TextLines.Line> line = lines.next(); line.isPresent(); line = lines.next()) {
        if (line.get().isBlank()) {
          continue;
        }
        String origin = "line " + line.get().number();
        try {
          records.add(format.read(line.get().text(), origin));
        } catch (UnusableRecordException e) {
          String message = e.getMessage();
          problems.add(message.startsWith(origin) ? message : origin + ": " + message);
        }
      }
    } catch (IOException e) {
      throw new IOException(
          "%s %s cannot be read: %s".formatted(option, file, PlainFiles.reason(e)), e);
    }
    if (!problems.isEmpty()) {
      throw new IOException(
          "%s %s has %d %s that cannot be used: %s%s"
              .formatted(
                  option,
                  file,
                  problems.size(),
                  problems.size() == 1 ? "line" : "lines",
                  String.join("; ", problems.subList(0, Math.min(LISTED, problems.size()))),
                  problems.size() > LISTED ? "; …" : ""));
    }
    if (records.isEmpty()) {
      throw new IOException("%s %s has no records: all lines are blank".formatted(option, file));
    }
    return records;
  }
}
