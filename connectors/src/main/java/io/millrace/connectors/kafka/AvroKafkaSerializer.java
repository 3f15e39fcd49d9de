package io.millrace.connectors.kafka;

import io.millrace.schemas.Topic;
import io.millrace.schemas.wire.SingleObject;
import java.nio.charset.StandardCharsets;
import org.apache.avro.specific.SpecificRecordBase;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.kafka.clients.producer.ProducerRecord;

/** Records to the topic of their type, with its key. */
final class AvroKafkaSerializer<T extends SpecificRecordBase>
    implements KafkaRecordSerializationSchema<T> {

  private static final long serialVersionUID = 1;

  private final Class<T> type;
  private final String topicPrefix;
  private transient SingleObject<T> codec;

  AvroKafkaSerializer(Class<T> type, String topicPrefix) {
    this.type = type;
    this.topicPrefix = topicPrefix;
  }

  @Override
  public ProducerRecord<byte[], byte[]> serialize(
      T record, KafkaSinkContext context, Long timestamp) {
    if (codec == null) {
      codec = SingleObject.of(type);
    }
    Topic topic = Topic.of(type);
    return new ProducerRecord<>(
        topic.name(topicPrefix),
        topic.key(record).getBytes(StandardCharsets.UTF_8),
        codec.encode(record));
  }
}
