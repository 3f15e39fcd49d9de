package io.millrace.cli.deadletters;

import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.TopicRecords;
import io.millrace.schemas.DeadLetter;
import io.millrace.schemas.Sha256;
import io.millrace.schemas.Topic;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Optional;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/**
 * The whole record that a job refused.
 *
 * @param key raw, or null
 * @param value raw, or null
 */
record OriginalRecord(byte[] key, byte[] value) {

  /**
   * The record from its dead letter, or, if the dead letter holds only its beginning, from its
   * topic.
   *
   * @return empty if the dead letter holds only the beginning and Kafka has deleted the record
   */
  static Optional<OriginalRecord> of(Letter letter, TopicRecords topics) throws IOException {
    DeadLetter content = letter.content();
    if (letter.isWhole()) {
      return Optional.of(new OriginalRecord(copy(content.getKey()), copy(content.getValue())));
    }
    if (content.getOffset() < 0 || content.getTopic().indexOf('/') >= 0) {
      return Optional.empty();
    }
    return topics
        .at(content.getTopic(), content.getPartition(), content.getOffset())
        .filter(found -> isSame(content, found))
        .map(found -> new OriginalRecord(found.key(), found.value()));
  }

  /** A topic that was deleted and made anew has other records under the same offsets. */
  private static boolean isSame(DeadLetter content, ConsumerRecord<byte[], byte[]> found) {
    return isSame(content.getKeySha256(), found.key())
        && isSame(content.getValueSha256(), found.value());
  }

  private static boolean isSame(String sha256, byte[] bytes) {
    return sha256 == null ? bytes == null : bytes != null && sha256.equals(Sha256.of(bytes));
  }

  static byte[] copy(ByteBuffer buffer) {
    if (buffer == null) {
      return null;
    }
    byte[] bytes = new byte[buffer.remaining()];
    buffer.duplicate().get(bytes);
    return bytes;
  }

  /** The topic of that full name; empty for a file, and for a topic of another prefix. */
  static Optional<Topic<?>> topic(KafkaSettings kafka, String name) {
    return Topic.all().stream().filter(topic -> kafka.nameOf(topic).equals(name)).findFirst();
  }
}
