package io.millrace.connectors.flink.source;

import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/** Passes every record on undecoded, because a damaged record must not stop the source. */
final class ReceivedDeserializer implements KafkaRecordDeserializationSchema<Received> {
  private static final long serialVersionUID = 1L;

  @Override
  public void deserialize(ConsumerRecord<byte[], byte[]> found, Collector<Received> out) {
    out.collect(
        new Received(
            found.topic(),
            found.partition(),
            found.offset(),
            found.timestamp(),
            found.key(),
            found.value()));
  }

  @Override
  public TypeInformation<Received> getProducedType() {
    return TypeInformation.of(Received.class);
  }
}
