package io.millrace.serve.feedback;

import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.schemas.Topic;
import java.io.IOException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.avro.specific.SpecificRecordBase;

/**
 * The feedback that the topics hold already, by id. It is read from the topics themselves, so a
 * server knows what it stored before it was killed, and what other servers stored. For one thread.
 */
final class KnownFeedback implements AutoCloseable {

  /** Ids of feedback through a server begin with this; ids of other producers do not. */
  static final String PREFIX = "serve/";

  private final List<Source<?>> sources;
  private final KnownIds ids = new KnownIds();

  /** A topic, and how its records are named. */
  private record Source<T extends SpecificRecordBase>(Topic<T> topic, RecordReader<T> reader) {}

  /**
   * @param since ids that are older are not known
   */
  KnownFeedback(KafkaSettings kafka, Instant since) throws IOException {
    List<Source<?>> opened = new ArrayList<>();
    try {
      for (Topic<?> topic : List.of(Topic.JUDGMENTS, Topic.DEMONSTRATIONS, Topic.FEEDBACK)) {
        opened.add(open(kafka, topic, since));
      }
    } catch (IOException | RuntimeException e) {
      opened.forEach(source -> source.reader().close());
      throw e;
    }
    this.sources = List.copyOf(opened);
  }

  private static <T extends SpecificRecordBase> Source<T> open(
      KafkaSettings kafka, Topic<T> topic, Instant since) throws IOException {
    return new Source<>(topic, RecordReader.fromTime(kafka, topic, since));
  }

  /** Reads the topics up to their present ends. */
  void readOn() throws IOException {
    for (Source<?> source : sources) {
      readOn(source);
    }
  }

  private <T extends SpecificRecordBase> void readOn(Source<T> source) throws IOException {
    source
        .reader()
        .readToEnd(
            entry ->
                entry
                    .record()
                    .filter(record -> source.topic().keyOf(record).startsWith(PREFIX))
                    .ifPresent(
                        record ->
                            ids.add(
                                source.topic().keyOf(record),
                                revision(record),
                                Map.of(
                                    source.topic().name(),
                                    Submission.digest(source.topic(), record)),
                                entry.timestamp())));
  }

  private static int revision(SpecificRecordBase record) {
    Object revision = record.get(record.getSchema().getField("revision").pos());
    return revision == null ? 0 : (Integer) revision;
  }

  /** The ids that the topics hold. */
  KnownIds ids() {
    return ids;
  }

  @Override
  public void close() {
    sources.forEach(source -> source.reader().close());
  }
}
