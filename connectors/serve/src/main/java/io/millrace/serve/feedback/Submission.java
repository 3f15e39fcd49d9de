package io.millrace.serve.feedback;

import io.millrace.schemas.Topic;
import io.millrace.schemas.wire.SingleObject;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import org.apache.avro.specific.SpecificRecordBase;

/**
 * Feedback on its way to Kafka. Its records are stored together or not at all.
 *
 * @param id of all its records
 * @param end time of {@link System#nanoTime} until which it may be stored
 * @param result whether it was stored now, or had been before
 */
record Submission(
    String id,
    int revision,
    List<Entry<?>> entries,
    Map<String, Long> digests,
    long end,
    CompletableFuture<Boolean> result) {

  Submission(String id, int revision, List<Entry<?>> entries, long end) {
    this(id, revision, entries, digests(entries), end, new CompletableFuture<>());
  }

  /** A record and its topic. */
  record Entry<T extends SpecificRecordBase>(Topic<T> topic, T record) {

    byte[] key() {
      return topic.keyBytes(record);
    }

    byte[] value(RecordFormats formats) {
      return formats.encode(topic, record);
    }

    /** A hash of all but the time: the same feedback comes again at another time. */
    long digest() {
      return Submission.digest(topic, record);
    }
  }

  private static Map<String, Long> digests(List<Entry<?>> entries) {
    Map<String, Long> digests = new TreeMap<>();
    entries.forEach(entry -> digests.put(entry.topic().name(), entry.digest()));
    return digests;
  }

  /** A hash of all of a record but its time. */
  static <T extends SpecificRecordBase> long digest(Topic<T> topic, T record) {
    int field = record.getSchema().getField("time").pos();
    Object time = record.get(field);
    record.put(field, Instant.EPOCH);
    try {
      long hash = 0xcbf29ce484222325L;
      for (byte b : SingleObject.of(topic.type()).encode(record)) {
        hash = (hash ^ (b & 0xff)) * 0x100000001b3L;
      }
      return hash;
    } finally {
      record.put(field, time);
    }
  }
}
