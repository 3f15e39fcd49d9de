package io.millrace.connectors.flink.decode;

import io.millrace.connectors.flink.source.Received;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.schemas.Topic;
import io.millrace.schemas.wire.RecordDecoder;
import io.millrace.schemas.wire.WireFormat;
import org.apache.avro.specific.SpecificRecordBase;

/**
 * The formats of records in topics, see {@link WireFormat}. A schema registry that does not answer
 * fails the task: the record may be a good one, and is read again after the restart.
 *
 * @param <T> the record type
 */
public final class TopicFormat<T extends SpecificRecordBase> implements BodyFormat<T> {
  private static final long serialVersionUID = 1L;

  private final Topic<T> topic;
  private final KafkaSettings settings;
  private transient RecordDecoder<T> format;

  public TopicFormat(Topic<T> topic, KafkaSettings settings) {
    this.topic = topic;
    this.settings = settings;
  }

  @Override
  public void open() {
    format = settings.decoder(topic);
  }

  @Override
  public T decode(Received received) {
    return format.decode(received.value());
  }
}
