package io.millrace.serve.feedback;

import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.registry.RegistryException;
import io.millrace.schemas.Topic;
import io.millrace.schemas.wire.RecordEncoder;
import java.io.IOException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.avro.specific.SpecificRecordBase;

/** The formats in which the records of a server are written: {@code schema.output}. */
public final class RecordFormats {

  private final Map<Topic<?>, RecordEncoder<?>> encoders = new HashMap<>();

  /**
   * Asks the schema registry for the ids of schemas where a format needs them.
   *
   * @throws IOException if it does not answer, or refuses a schema
   */
  public RecordFormats(KafkaSettings kafka) throws IOException {
    try {
      for (Topic<?> topic :
          List.of(Topic.ROLLOUTS, Topic.JUDGMENTS, Topic.DEMONSTRATIONS, Topic.FEEDBACK)) {
        encoders.put(topic, kafka.encoder(topic));
      }
    } catch (RegistryException e) {
      throw e.getCause();
    }
  }

  /** The value of a record. */
  <T extends SpecificRecordBase> byte[] encode(Topic<T> topic, T record) {
    @SuppressWarnings(
        "unchecked") // Only the constructor fills the map, with each topic's own type.
    RecordEncoder<T> encoder = (RecordEncoder<T>) encoders.get(topic);
    return encoder.encode(record);
  }
}
