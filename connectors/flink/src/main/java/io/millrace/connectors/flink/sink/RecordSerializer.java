package io.millrace.connectors.flink.sink;

import io.millrace.connectors.flink.decode.DeadLetters;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.schemas.DeadLetter;
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
import org.apache.flink.metrics.Counter;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Serializes records for Kafka: the topic's key, and the value in single-object encoding. A record
 * that is larger than {@link KafkaSettings#maxRecordBytes} would stop the job again after each
 * restart. In its place goes a dead letter, in the same transaction, and the metric {@code
 * records_too_large} counts it.
 */
final class RecordSerializer<T extends SpecificRecordBase>
    implements KafkaRecordSerializationSchema<T>, KafkaDatasetFacetProvider {
  private static final long serialVersionUID = 1L;

  private static final Logger LOG = LoggerFactory.getLogger(RecordSerializer.class);

  private final Topic<T> topic;
  private final DeadLetters deadLetters;
  private final String name;
  private transient SingleObject<T> format;
  private transient Counter tooLarge;

  RecordSerializer(Topic<T> topic, DeadLetters deadLetters) {
    this.topic = topic;
    this.deadLetters = deadLetters;
    this.name = deadLetters.kafka().nameOf(topic);
  }

  @Override
  public void open(SerializationSchema.InitializationContext context, KafkaSinkContext sink) {
    format = SingleObject.of(topic.type());
    tooLarge =
        context.getMetricGroup().addGroup("topic", topic.name()).counter("records_too_large");
  }

  @Override
  public ProducerRecord<byte[], byte[]> serialize(T record, KafkaSinkContext sink, Long timestamp) {
    byte[] key = topic.keyBytes(record);
    byte[] value = format.encode(record);
    KafkaSettings kafka = deadLetters.kafka();
    if (kafka.fits(key, value)) {
      return new ProducerRecord<>(name, key, value);
    }
    tooLarge.inc();
    LOG.error(
        "Wrote a dead letter in place of a record of {}: {}; raise kafka.max-record-size and the"
            + " topics' limit (millrace topics --alter)",
        name,
        kafka.tooLarge(topic, key, value));
    DeadLetter letter = deadLetters.tooLarge(topic, key, value);
    return new ProducerRecord<>(
        kafka.nameOf(Topic.DEAD_LETTERS),
        Topic.DEAD_LETTERS.keyBytes(letter),
        SingleObject.of(DeadLetter.class).encode(letter));
  }

  /** Names the topics in which the sink looks for open transactions of its predecessor. */
  @Override
  public Optional<KafkaDatasetFacet> getKafkaDatasetFacet() {
    return Optional.of(
        new DefaultKafkaDatasetFacet(
            DefaultKafkaDatasetIdentifier.ofTopics(
                List.of(name, deadLetters.kafka().nameOf(Topic.DEAD_LETTERS)))));
  }
}
