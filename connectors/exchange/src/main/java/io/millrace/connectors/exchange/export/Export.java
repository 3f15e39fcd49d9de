package io.millrace.connectors.exchange.export;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.connectors.kafka.WithdrawalFeed;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Provenance;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.Topic;
import io.millrace.schemas.Validation;
import io.millrace.schemas.Withdrawal;
import io.millrace.schemas.WithdrawnBy;
import io.millrace.schemas.WithdrawnRecords;
import io.millrace.schemas.wire.JsonLines;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.LocalDate;
import java.time.ZoneOffset;
import java.time.format.DateTimeParseException;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import org.apache.avro.specific.SpecificRecordBase;

/**
 * Writes the records that a topic has when the export begins, in the order of their offsets.
 *
 * <ul>
 *   <li>Withdrawn records are left out, and so are those whose key has a tombstone.
 *   <li>Of several revisions of a record the highest valid one is written, and a repeated record
 *       once.
 *   <li>Invalid records are left out, since no job uses them.
 * </ul>
 *
 * @param <T> the record type
 */
public final class Export<T extends SpecificRecordBase> {
  /** The topics that can be exported. */
  public static final List<Topic<?>> TOPICS =
      List.of(Topic.JUDGMENTS, Topic.FEEDBACK, Topic.DEMONSTRATIONS, Topic.PROMPTS, Topic.ROLLOUTS);

  /** Beyond so many ids, repeated records are written again; importers' ids make them harmless. */
  private static final int MOST_IDS = 2_000_000;

  private final KafkaSettings kafka;
  private final Topic<T> topic;
  private final Shape shape;
  private final Instant from;
  private final Instant to;

  private final WithdrawnRecords withdrawn = new WithdrawnRecords();
  private final Map<String, Integer> revisions = new HashMap<>();
  private final Set<String> seen = new HashSet<>();
  private final Map<String, Long> leftOut = new TreeMap<>();
  private long read;
  private long written;

  /**
   * @param from the earliest time of a record; a record of unknown time has that of Kafka
   * @param to the time before which records must have been made
   */
  public Export(KafkaSettings kafka, Topic<T> topic, Shape shape, Instant from, Instant to) {
    if (!TOPICS.contains(topic)) {
      throw new IllegalArgumentException(
          "%s cannot be exported; these topics can: %s".formatted(topic, TOPICS));
    }
    if (!from.isBefore(to)) {
      throw new IllegalArgumentException(
          "--from is %s and --to %s; the first must be earlier".formatted(from, to));
    }
    this.kafka = kafka;
    this.topic = topic;
    this.shape = shape;
    this.from = from;
    this.to = to;
  }

  /**
   * A time of a range.
   *
   * @param option for the message
   * @param text a day in UTC, or a time in ISO 8601
   * @throws IllegalArgumentException for another text
   */
  public static Instant time(String option, String text) {
    try {
      return text.contains("T")
          ? Instant.parse(text)
          : LocalDate.parse(text).atStartOfDay(ZoneOffset.UTC).toInstant();
    } catch (DateTimeParseException e) {
      throw new IllegalArgumentException(
          "%s is %s; it must be a day, such as 2026-01-31, or a time, such as 2026-01-31T08:00:00Z"
              .formatted(option, text),
          e);
    }
  }

  /** Receives lines without line breaks, and takes notice of records that cannot be read. */
  public interface Receiver {
    void line(String line) throws IOException;

    void unreadable(int partition, long offset, String problem);

    /** Is called after every record, with the number that the topic has at most. */
    default void progress(long read, long of) {}
  }

  /**
   * Counts of an export.
   *
   * @param read the records that the topic had
   * @param leftOut the records that were not written, by reason
   */
  public record Report(long read, long written, Map<String, Long> leftOut) {
    public Report {
      leftOut = new TreeMap<>(leftOut);
    }
  }

  /** Reads the topic twice: the first time finds revisions and tombstones. */
  public Report run(Receiver receiver) throws IOException {
    try (WithdrawalFeed feed = new WithdrawalFeed(kafka)) {
      feed.readAll().forEach(withdrawn::add);
    }
    try (RecordReader<T> first = RecordReader.fromEarliest(kafka, topic);
        RecordReader<T> second = RecordReader.fromEarliest(kafka, topic)) {
      long of = first.remaining();
      Map<Integer, Long> ends = new HashMap<>();
      first.readSnapshot(
          entry -> {
            ends.merge(entry.partition(), entry.offset(), Math::max);
            entry.record().ifPresent(this::noteRevision);
          },
          this::noteTombstone);
      second.readSnapshot(
          entry -> {
            if (entry.offset() <= ends.getOrDefault(entry.partition(), -1L)) {
              read++;
              write(entry, receiver);
              receiver.progress(read, of);
            }
          },
          key -> {});
    } catch (UncheckedIOException e) {
      throw e.getCause();
    }
    return new Report(read, written, leftOut);
  }

  /** An unusable revision replaces nothing: jobs refuse it, and go on with the one before. */
  private void noteRevision(T record) {
    int revision = Provenance.revision(record);
    if (revision > 0 && isUsable(record)) {
      revisions.merge(topic.keyOf(record), revision, Math::max);
    }
  }

  /** A record without a value withdraws the record of its key, as it does for jobs. */
  private void noteTombstone(byte[] key) {
    String id = new String(key, StandardCharsets.UTF_8);
    withdrawn.add(
        Withdrawal.newBuilder()
            .setWithdrawalId("tombstone/" + topic.name() + "/" + id)
            .setBy(WithdrawnBy.ID)
            .setName(id)
            .build());
  }

  private void write(RecordReader.Entry<T> entry, Receiver receiver) {
    if (entry.record().isEmpty()) {
      leaveOut("undecodable");
      receiver.unreadable(
          entry.partition(), entry.offset(), entry.problem().orElseThrow().getMessage());
      return;
    }
    T record = entry.record().get();
    Optional<String> reason = reasonAgainst(record, entry, receiver);
    if (reason.isPresent()) {
      leaveOut(reason.get());
      return;
    }
    Optional<String> line = line(record);
    if (line.isEmpty()) {
      leaveOut("no-label");
      return;
    }
    try {
      receiver.line(line.get());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    written++;
  }

  private Optional<String> reasonAgainst(T record, RecordReader.Entry<T> entry, Receiver receiver) {
    Provenance provenance = Provenance.of(record);
    // A rollout is withdrawn with its prompt's time, and exported with its own.
    Instant own =
        record instanceof Rollout rollout
            ? rollout.getTime()
            : Instant.ofEpochMilli(provenance.time());
    Instant time = own.equals(Instant.EPOCH) ? entry.timestamp() : own;
    if (time.isBefore(from) || !time.isBefore(to)) {
      return Optional.of("other-time");
    }
    if (withdrawn.contains(provenance)) {
      return Optional.of("withdrawn");
    }
    List<String> problems = Validation.problems(record);
    if (!problems.isEmpty()) {
      receiver.unreadable(entry.partition(), entry.offset(), String.join("; ", problems));
      return Optional.of("invalid");
    }
    if (record instanceof Judgment judgment && Validation.isBetweenSameResponses(judgment)) {
      return Optional.of("same-responses");
    }
    String id = topic.keyOf(record);
    if (provenance.revision() < revisions.getOrDefault(id, 0)) {
      return Optional.of("revised");
    }
    boolean repeated = seen.size() < MOST_IDS ? !seen.add(id) : seen.contains(id);
    return repeated ? Optional.of("duplicate") : Optional.empty();
  }

  private static boolean isUsable(SpecificRecordBase record) {
    return Validation.problems(record).isEmpty()
        && !(record instanceof Judgment judgment && Validation.isBetweenSameResponses(judgment));
  }

  private void leaveOut(String reason) {
    leftOut.merge(reason, 1L, Long::sum);
  }

  private Optional<String> line(T record) {
    return shape == Shape.JSONL
        ? Optional.of(JsonLines.write(record))
        : TrlRows.of(record).map(ObjectNode::toString);
  }
}
