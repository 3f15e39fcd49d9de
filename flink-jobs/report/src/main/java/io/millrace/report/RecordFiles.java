package io.millrace.report;

import io.millrace.schemas.wire.JsonLines;
import io.millrace.schemas.wire.TextLines;
import io.millrace.schemas.wire.WireFormatException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.apache.avro.specific.SpecificRecordBase;

/** Reads the records of a topic that a campaign has kept as JSON Lines. */
final class RecordFiles {

  private RecordFiles() {}

  /**
   * The records of a file; none where there is no file.
   *
   * @throws IOException naming the file and line of a bad record
   */
  static <T extends SpecificRecordBase> List<T> read(Path file, Class<T> type) throws IOException {
    if (!Files.exists(file)) {
      return List.of();
    }
    List<T> records = new ArrayList<>();
    try (TextLines lines = TextLines.of(file)) {
      for (Optional<TextLines.Line> line = lines.next(); line.isPresent(); line = lines.next()) {
        try {
          records.add(JsonLines.read(type, line.get().text()));
        } catch (WireFormatException e) {
          throw new IOException(
              "%s, line %d: %s".formatted(file, line.get().number(), e.getMessage()), e);
        }
      }
    }
    return records;
  }
}
