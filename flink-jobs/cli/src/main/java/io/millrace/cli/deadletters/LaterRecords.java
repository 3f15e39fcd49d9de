package io.millrace.cli.deadletters;

import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.TopicRecords;
import io.millrace.schemas.DeadLetter;
import io.millrace.schemas.Topic;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.common.header.Header;

/**
 * What lies in the topics behind refused records: the records that were sent again, and, in a
 * compacted topic, later records with the same key.
 */
final class LaterRecords {

  /** Header of a record that was sent again: topic, partition and offset of the refused record. */
  static final String RESENT = "millrace.resent";

  /** A key in a partition of a topic. */
  private record Key(String topic, int partition, ByteBuffer key) {}

  private final Set<String> resent = new HashSet<>();

  /** The refused record by the place of its copy. */
  private final Map<String, String> copies = new HashMap<>();

  private final Map<Key, Long> lastOffsets = new HashMap<>();
  private final Map<String, Integer> partitions = new HashMap<>();

  private LaterRecords() {}

  /**
   * Reads the topics from the refused records to their present end.
   *
   * @param places the lowest offset of a refused record by topic and partition
   */
  static LaterRecords read(
      KafkaSettings kafka, TopicRecords topics, Map<String, Map<Integer, Long>> places)
      throws IOException {
    LaterRecords later = new LaterRecords();
    for (Map.Entry<String, Map<Integer, Long>> place : places.entrySet()) {
      String name = place.getKey();
      var topic = OriginalRecord.topic(kafka, name);
      if (topic.isPresent()) {
        later.partitions.put(name, topics.partitionCount(name));
        boolean compacted = topic.get().compacted();
        topics.from(
            name,
            place.getValue(),
            record -> {
              Header header = record.headers().lastHeader(RESENT);
              if (header != null && header.value() != null) {
                String refused = new String(header.value(), StandardCharsets.UTF_8);
                later.resent.add(refused);
                later.copies.put(Topic.place(name, record.partition(), record.offset()), refused);
              }
              if (compacted && record.key() != null) {
                later.lastOffsets.put(
                    new Key(name, record.partition(), ByteBuffer.wrap(record.key())),
                    record.offset());
              }
            });
      }
    }
    return later;
  }

  /** Whether an earlier resend has sent the refused record. */
  boolean wasSentAgain(Letter letter) {
    return resent.contains(letter.origin());
  }

  /** Whether the refused record was itself sent by an earlier resend. */
  boolean isCopy(Letter letter) {
    return copies.containsKey(letter.origin());
  }

  /** The place of the record that was refused first; copies of it have the same bytes. */
  String firstOrigin(Letter letter) {
    String origin = letter.origin();
    // A copy lies behind its record, so this ends; a header of another program may say anything.
    for (int i = 0; i < copies.size() && copies.containsKey(origin); i++) {
      origin = copies.get(origin);
    }
    return origin;
  }

  /** Whether the refused record's partition exists. */
  boolean hasPartition(Letter letter) {
    DeadLetter content = letter.content();
    return content.getPartition() < partitions.getOrDefault(content.getTopic(), 0);
  }

  /**
   * Whether a later record of a compacted topic has the refused record's key.
   *
   * @param key may be null
   */
  boolean isReplaced(Letter letter, byte[] key) {
    DeadLetter content = letter.content();
    return key != null
        && lastOffsets.getOrDefault(
                new Key(content.getTopic(), content.getPartition(), ByteBuffer.wrap(key)), -1L)
            > content.getOffset();
  }
}
