package io.millrace.connectors.kafka;

import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/**
 * Passes every record on with its origin. It cannot fail: a source that threw at a bad record would
 * meet it again after every restart.
 */
final class ReceivedDeserializer implements KafkaRecordDeserializationSchema<Received> {

  private static final long serialVersionUID = 1;

  @Override
  public void deserialize(ConsumerRecord<byte[], byte[]> record, Collector<Received> out) {
    // A null key or value (a tombstone) stays distinguishable from an empty one by its decoding.
    out.collect(
        new Received(
            record.topic(),
            record.partition(),
            record.offset(),
            record.key() == null ? new byte[0] : record.key(),
            record.value() == null ? new byte[0] : record.value()));
  }

  @Override
  public TypeInformation<Received> getProducedType() {
    return TypeInformation.of(Received.class);
  }
}
