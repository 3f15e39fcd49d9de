package io.millrace.connectors.exchange;

import com.fasterxml.jackson.databind.JsonNode;
import io.millrace.connectors.exchange.file.Bounds;
import io.millrace.connectors.exchange.file.Row;
import io.millrace.connectors.exchange.file.RowFile;
import io.millrace.connectors.exchange.file.Rows;
import io.millrace.connectors.exchange.format.Format;
import io.millrace.connectors.exchange.format.Formats;
import io.millrace.connectors.exchange.format.Output;
import io.millrace.connectors.exchange.format.Settings;
import io.millrace.schemas.InvalidRecordException;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.RefusedRecordException;
import io.millrace.schemas.Topic;
import io.millrace.schemas.UnusableRecordException;
import io.millrace.schemas.Validation;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.apache.avro.specific.SpecificRecordBase;

/**
 * Reads files of other tools' formats, one row at a time, and passes valid records on. Ids are made
 * of the content: a second import gives the same ids, and jobs drop the repetitions. So an import
 * that was interrupted can be run again from the beginning. For one thread.
 */
public final class Import {
  private final Optional<Format> format;
  private final Settings settings;
  private final Bounds bounds;
  private final ImportReport report = new ImportReport();

  /**
   * @param format of all files; empty to look at each file's first rows
   */
  public Import(Optional<Format> format, Settings settings, Bounds bounds) {
    this.format = format;
    this.settings = settings;
    this.bounds = bounds;
  }

  /** Receives what becomes of the rows. */
  public interface Receiver {
    /**
     * Takes a valid record.
     *
     * @throws UnusableRecordException to have it refused, with the reason to count
     */
    <T extends SpecificRecordBase> void accept(Topic<T> topic, T record) throws IOException;

    /** Takes notice of a row, or a part of one, that gives no record. */
    void refused(Refusal refusal) throws IOException;

    /** Is called after every row. */
    default void progress(Path file, double share, ImportReport report) {}
  }

  /** The counts of all files so far. */
  public ImportReport report() {
    return report;
  }

  /**
   * The format of a file.
   *
   * @throws IOException if it cannot be read, or its format is not known or ambiguous
   */
  public Format formatOf(Path file) throws IOException {
    if (format.isPresent()) {
      return format.get();
    }
    try (Rows rows = RowFile.open(file, bounds)) {
      return Formats.detect(rows, file.toString());
    }
  }

  /**
   * Imports one file.
   *
   * @throws IOException when the receiver fails, or the file cannot be read to its end; the message
   *     then names the last good row
   */
  public void run(Path file, Receiver receiver) throws IOException {
    Format found = formatOf(file);
    long last = 0;
    try (Rows rows = RowFile.open(file, bounds)) {
      while (true) {
        Optional<Row> row;
        try {
          row = rows.next();
        } catch (IOException e) {
          throw new IOException(
              "%s is damaged after %s %d: %s; the rows before it were imported, so repair the file and import it again"
                  .formatted(file, rows.unit(), last, e.getMessage()),
              e);
        }
        if (row.isEmpty()) {
          return;
        }
        last = row.get().number();
        report.addRow();
        read(file, rows, row.get(), found, receiver);
        receiver.progress(file, rows.progress(), report);
      }
    }
  }

  private void read(Path file, Rows rows, Row row, Format found, Receiver receiver)
      throws IOException {
    Collected collected = new Collected();
    if (row.value() == null) {
      collected.refuse(row.problem());
    } else {
      convert(row.value(), found, collected);
    }
    for (Made<?> made : collected.records) {
      try {
        made.send(receiver);
        report.addRecord(made.topic());
      } catch (UnusableRecordException e) {
        collected.refuse(new RefusedRecordException(e.reason(), e.getMessage()));
      }
    }
    for (RefusedRecordException problem : collected.problems) {
      report.addRefusal(problem.reason());
      receiver.refused(
          new Refusal(
              file,
              rows.unit(),
              row.number(),
              problem.reason(),
              problem.getMessage(),
              row.value() == null ? row.text() : abbreviate(row.value().toString())));
    }
  }

  private void convert(JsonNode value, Format found, Collected collected) {
    try {
      if (!value.isObject()) {
        throw new RefusedRecordException(
            InvalidRecordException.REASON, "it is no object, but a " + value.getNodeType());
      }
      found.read(value, settings, collected);
    } catch (UnusableRecordException e) {
      collected.refuse(new RefusedRecordException(e.reason(), e.getMessage()));
    }
  }

  private static String abbreviate(String text) {
    int most = 64 << 10;
    return text.length() <= most ? text : text.substring(0, most) + "…";
  }

  private record Made<T extends SpecificRecordBase>(Topic<T> topic, T record) {
    void send(Receiver receiver) throws IOException {
      Validation.require(record);
      if (record instanceof Judgment judgment) {
        Validation.requireDifferentResponses(judgment);
      }
      receiver.accept(topic, record);
    }
  }

  /** A row's records, before they are sent. */
  private static final class Collected implements Output {
    private final List<Made<?>> records = new ArrayList<>();
    private final List<RefusedRecordException> problems = new ArrayList<>();

    @Override
    public <T extends SpecificRecordBase> void add(Topic<T> topic, T record) {
      records.add(new Made<>(topic, record));
    }

    @Override
    public void refuse(RefusedRecordException problem) {
      problems.add(problem);
    }
  }
}
