package io.millrace.cli.deadletters;

import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.connectors.kafka.TopicRecords;
import io.millrace.schemas.DeadLetter;
import io.millrace.schemas.Printable;
import io.millrace.schemas.RefusedRecordException;
import io.millrace.schemas.Topic;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Predicate;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;

/**
 * Sends the records of chosen dead letters to their topics again, each to the partition where it
 * was refused. A header names the refused record, so that a second resend finds what the first one
 * has sent.
 */
final class Resend {

  private final KafkaSettings kafka;
  private final Predicate<Letter> chosen;
  private final boolean again;
  private final boolean dryRun;

  private final Set<Letter.Id> found = new HashSet<>();
  private final Map<String, Long> sent = new TreeMap<>();
  private final List<String> problems = new ArrayList<>();
  private long repeated;
  private long before;
  private long refusedAgain;
  private final Set<String> handled = new HashSet<>();

  /**
   * @param again whether to send records that were sent again before
   * @param dryRun whether to send nothing and only count
   */
  Resend(KafkaSettings kafka, Predicate<Letter> chosen, boolean again, boolean dryRun) {
    this.kafka = kafka;
    this.chosen = chosen;
    this.again = again;
    this.dryRun = dryRun;
  }

  /**
   * What was done.
   *
   * @param found the chosen dead letters
   * @param sent records by topic
   * @param repeated dead letters whose record another chosen one names too
   * @param before records that an earlier resend has sent
   * @param refusedAgain records that an earlier resend has sent, and that were refused again
   * @param problems records that cannot be sent, each with the reason
   */
  record Result(
      Set<Letter.Id> found,
      Map<String, Long> sent,
      long repeated,
      long before,
      long refusedAgain,
      List<String> problems) {}

  Result run() throws IOException {
    // The values may be large, so the dead letters are read twice and sent one by one.
    Map<String, Letter.Id> first = new HashMap<>();
    Map<String, Map<Integer, Long>> places = new TreeMap<>();
    Letter.each(
        kafka,
        letter -> {
          if (chosen.test(letter)) {
            found.add(letter.id());
            DeadLetter content = letter.content();
            if (content.getOffset() < 0) {
              return;
            }
            if (first.putIfAbsent(letter.origin(), letter.id()) == null) {
              places
                  .computeIfAbsent(content.getTopic(), topic -> new HashMap<>())
                  .merge(content.getPartition(), content.getOffset(), Math::min);
            } else {
              repeated++;
            }
          }
        });
    if (found.isEmpty()) {
      return result();
    }
    try (TopicRecords topics = new TopicRecords(kafka);
        RecordWriter writer = new RecordWriter(kafka)) {
      LaterRecords later = LaterRecords.read(kafka, topics, places);
      Letter.each(
          kafka,
          letter -> {
            boolean once =
                letter.content().getOffset() < 0 || letter.id().equals(first.get(letter.origin()));
            if (found.contains(letter.id()) && once) {
              send(letter, later, topics, writer);
            }
          },
          broken -> {});
    } catch (UncheckedIOException e) {
      throw e.getCause();
    }
    return result();
  }

  private Result result() {
    return new Result(found, sent, repeated, before, refusedAgain, problems);
  }

  private void send(Letter letter, LaterRecords later, TopicRecords topics, RecordWriter writer) {
    DeadLetter content = letter.content();
    Optional<Topic<?>> topic = OriginalRecord.topic(kafka, content.getTopic());
    if (topic.isEmpty()) {
      problem(
          letter,
          "is not of a topic with the prefix '%s'; correct a line of a file in that file"
              .formatted(kafka.topicPrefix()));
      return;
    }
    if (content.getOffset() < 0) {
      problem(letter, "was never in its topic: the job itself could not write it");
      return;
    }
    if (topic.get() == Topic.PROMOTIONS) {
      problem(
          letter,
          "says which version to serve, and may be out of date; use millrace promote or rollback");
      return;
    }
    if (!again && later.wasSentAgain(letter)) {
      before++;
      return;
    }
    try {
      Optional<OriginalRecord> original = OriginalRecord.of(letter, topics);
      if (original.isEmpty()) {
        problem(
            letter,
            "was too large for its dead letter, and its topic does not hold it any more; send it"
                + " from its source");
        return;
      }
      if (!again && later.isCopy(letter)) {
        refusedAgain++;
        return;
      }
      if (!handled.add(later.firstOrigin(letter))) {
        repeated++;
        return;
      }
      if (topic.get().compacted() && later.isReplaced(letter, original.get().key())) {
        problem(letter, "was replaced by a later record with the same key");
        return;
      }
      if (!later.hasPartition(letter)) {
        problem(letter, "lay in a partition that does not exist any more; send it from its source");
        return;
      }
      if (!dryRun) {
        Header header =
            new RecordHeader(LaterRecords.RESENT, letter.origin().getBytes(StandardCharsets.UTF_8));
        writer.sendRaw(
            topic.get(),
            content.getPartition(),
            original.get().key(),
            original.get().value(),
            List.of(header));
      }
      sent.merge(content.getTopic(), 1L, Long::sum);
    } catch (RefusedRecordException e) {
      problem(letter, "is too large: " + e.getMessage());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private void problem(Letter letter, String problem) {
    problems.add(
        Printable.line("%s: the record %s %s".formatted(letter.id(), letter.origin(), problem)));
  }
}
