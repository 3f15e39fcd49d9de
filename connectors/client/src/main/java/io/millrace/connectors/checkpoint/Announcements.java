package io.millrace.connectors.checkpoint;

import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.schemas.Topic;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import org.apache.avro.specific.SpecificRecordBase;

/** Reads the versions that a topic has announced so far. */
public final class Announcements {
  private Announcements() {}

  /**
   * The highest version announced under a key, such as a model's name; 0 when there is none.
   *
   * <p>A version at or below it would never be announced again. So a new run numbers its versions
   * from here, even when its checkpoint directory is empty.
   */
  public static long latestVersion(KafkaSettings settings, Topic<?> topic, String key)
      throws IOException {
    return versions(settings, topic)
        .getOrDefault(ByteBuffer.wrap(key.getBytes(StandardCharsets.UTF_8)), 0L);
  }

  /** The highest version announced under each key. */
  public static <T extends SpecificRecordBase> Map<ByteBuffer, Long> versions(
      KafkaSettings settings, Topic<T> topic) throws IOException {
    Map<ByteBuffer, Long> versions = new HashMap<>();
    try (RecordReader<T> reader = RecordReader.fromEarliest(settings, topic)) {
      reader.readToEnd(
          entry ->
              entry
                  .record()
                  .filter(record -> entry.key() != null)
                  .ifPresent(
                      record ->
                          versions.merge(
                              ByteBuffer.wrap(entry.key()),
                              Announced.of(record).version(),
                              Math::max)));
    }
    return versions;
  }
}
