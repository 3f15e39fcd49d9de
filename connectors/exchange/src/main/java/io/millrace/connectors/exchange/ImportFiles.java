package io.millrace.connectors.exchange;

import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.connectors.kafka.TopicLayout;
import io.millrace.schemas.PlainFiles;
import io.millrace.schemas.Printable;
import io.millrace.schemas.Topic;
import io.millrace.schemas.wire.JsonLines;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Consumer;
import org.apache.avro.specific.SpecificRecordBase;

/** An import of several files to Kafka, or of none of their records. */
public final class ImportFiles {
  private final Import run;
  private final List<Path> files;
  private final RefusedFile refused;
  private final int mostReported;
  private final Consumer<String> notes;

  /**
   * @param refused takes all refusals; null for none
   * @param mostReported so many refusals are reported
   * @param notes takes lines for people
   */
  public ImportFiles(
      Import run, List<Path> files, RefusedFile refused, int mostReported, Consumer<String> notes) {
    this.run = run;
    this.files = List.copyOf(files);
    this.refused = refused;
    this.mostReported = mostReported;
    this.notes = notes;
  }

  /**
   * Checks that there are such files.
   *
   * @throws IllegalArgumentException if one does not exist
   * @throws IOException if one is no plain file
   */
  public static void require(List<Path> files) throws IOException {
    for (Path file : files) {
      if (!Files.exists(file)) {
        throw new IllegalArgumentException(
            "FILE does not exist: %s; correct the path".formatted(file));
      }
      PlainFiles.require(file);
    }
  }

  /** Sends the records, after a look at all files. Missing topics are created. */
  public void send(KafkaSettings kafka) throws IOException {
    noteFormats();
    try (TopicAdmin admin = new TopicAdmin(kafka)) {
      admin.createAll(1, TopicAdmin.CLUSTER_DEFAULT);
      admin.require(TopicLayout.of(kafka));
    }
    try (RecordWriter writer = new RecordWriter(kafka)) {
      importAll(writer::send);
      writer.flush();
    }
  }

  /** Sends nothing, and shows the first records. */
  public void show(int most, Consumer<String> lines) throws IOException {
    noteFormats();
    importAll(
        new ReportingReceiver.Sink() {
          private long records;

          @Override
          public <T extends SpecificRecordBase> void accept(Topic<T> topic, T record) {
            if (records++ < most) {
              lines.accept(topic.name() + ": " + Printable.line(JsonLines.write(record)));
            }
          }
        });
  }

  private void noteFormats() throws IOException {
    for (Path file : files) {
      notes.accept("%s has the format %s".formatted(file, run.formatOf(file).name()));
    }
  }

  private void importAll(ReportingReceiver.Sink sink) throws IOException {
    Import.Receiver receiver = new ReportingReceiver(sink, refused, mostReported, notes);
    for (Path file : files) {
      run.run(file, receiver);
    }
  }
}
