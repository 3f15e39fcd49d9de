package io.millrace.connectors.flink.sink;

import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.schemas.Topic;
import io.millrace.schemas.wire.SingleObject;
import java.util.List;
import java.util.Optional;
import org.apache.avro.specific.SpecificRecordBase;
import org.apache.flink.api.common.serialization.SerializationSchema;
import org.apache.flink.connector.kafka.lineage.DefaultKafkaDatasetFacet;
import org.apache.flink.connector.kafka.lineage.DefaultKafkaDatasetIdentifier;
import org.apache.flink.connector.kafka.lineage.KafkaDatasetFacet;
import org.apache.flink.connector.kafka.lineage.KafkaDatasetFacetProvider;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.kafka.clients.producer.ProducerRecord;

/** Serializes records for Kafka: the topic's key, and the value in single-object encoding. */
final class RecordSerializer<T extends SpecificRecordBase>
    implements KafkaRecordSerializationSchema<T>, KafkaDatasetFacetProvider {
  private static final long serialVersionUID = 1L;

  private final Topic<T> topic;
  private final String name;
  private transient SingleObject<T> format;

  RecordSerializer(KafkaSettings settings, Topic<T> topic) {
    this.topic = topic;
    this.name = settings.nameOf(topic);
  }

  @Override
  public void open(SerializationSchema.InitializationContext context, KafkaSinkContext sink) {
    format = SingleObject.of(topic.type());
  }

  @Override
  public ProducerRecord<byte[], byte[]> serialize(T record, KafkaSinkContext sink, Long timestamp) {
    return new ProducerRecord<>(name, topic.keyBytes(record), format.encode(record));
  }

  /** Names the topic in which the sink looks for open transactions of its predecessor. */
  @Override
  public Optional<KafkaDatasetFacet> getKafkaDatasetFacet() {
    return Optional.of(
        new DefaultKafkaDatasetFacet(DefaultKafkaDatasetIdentifier.ofTopics(List.of(name))));
  }
}
