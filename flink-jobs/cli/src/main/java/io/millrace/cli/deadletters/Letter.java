package io.millrace.cli.deadletters;

import io.millrace.cli.option.UserException;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.schemas.DeadLetter;
import io.millrace.schemas.Printable;
import io.millrace.schemas.Topic;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.function.Consumer;

/**
 * A dead letter and its place in the topic dead-letters.
 *
 * @param partition of the topic dead-letters
 * @param offset in that partition
 */
record Letter(int partition, long offset, DeadLetter content) {

  /** Where a dead letter lies, as a user writes it: {@code partition/offset}. */
  record Id(int partition, long offset) {

    static Id parse(String text) {
      String[] parts = text.split("/", -1);
      try {
        if (parts.length == 2) {
          return new Id(Integer.parseUnsignedInt(parts[0]), Long.parseUnsignedLong(parts[1]));
        }
      } catch (NumberFormatException e) {
        // Falls through to the message.
      }
      throw new UserException(
          "ID must be partition/offset, such as 0/17, not '%s'; millrace deadletters list prints the ids"
              .formatted(text));
    }

    @Override
    public String toString() {
      return partition + "/" + offset;
    }
  }

  Id id() {
    return new Id(partition, offset);
  }

  /** The refused record's place: topic, partition and offset. */
  String origin() {
    return Topic.DEAD_LETTERS.keyOf(content);
  }

  /** Whether the dead letter holds the whole key and value. */
  boolean isWhole() {
    return isWhole(content.getKeySize(), content.getKey())
        && isWhole(content.getValueSize(), content.getValue());
  }

  private static boolean isWhole(Long size, ByteBuffer bytes) {
    return size == null || bytes == null || bytes.remaining() == size;
  }

  /**
   * Passes all dead letters to {@code sink}, each partition in order. Records of the topic that
   * cannot be decoded are named on standard error.
   */
  static void each(KafkaSettings kafka, Consumer<Letter> sink) throws IOException {
    each(
        kafka,
        sink,
        entry ->
            System.err.printf(
                "millrace: %s, partition %d, offset %d: %s%n",
                kafka.nameOf(Topic.DEAD_LETTERS),
                entry.partition(),
                entry.offset(),
                Printable.line(entry.problem().orElseThrow().getMessage())));
  }

  /** As {@link #each(KafkaSettings, Consumer)}, with a sink for what cannot be decoded. */
  static void each(
      KafkaSettings kafka, Consumer<Letter> sink, Consumer<RecordReader.Entry<DeadLetter>> broken)
      throws IOException {
    try (RecordReader<DeadLetter> reader = RecordReader.fromEarliest(kafka, Topic.DEAD_LETTERS)) {
      reader.readToEnd(
          entry -> {
            entry
                .record()
                .ifPresent(
                    content -> sink.accept(new Letter(entry.partition(), entry.offset(), content)));
            if (entry.problem().isPresent()) {
              broken.accept(entry);
            }
          });
    }
  }
}
