package io.millrace.connectors.flink.decode;

import io.millrace.connectors.flink.source.Received;
import io.millrace.schemas.Topic;
import io.millrace.schemas.wire.SingleObject;
import java.util.ArrayList;
import java.util.Collection;
import org.apache.avro.Schema;
import org.apache.avro.specific.SpecificRecordBase;

/**
 * The format of records in topics: Avro's single-object encoding.
 *
 * @param <T> the record type
 */
public final class TopicFormat<T extends SpecificRecordBase> implements BodyFormat<T> {
  private static final long serialVersionUID = 1L;

  private final Topic<T> topic;
  private final ArrayList<Schema> writers;
  private transient SingleObject<T> format;

  /**
   * @param writers schemas of writers with a newer or older build
   */
  public TopicFormat(Topic<T> topic, Collection<Schema> writers) {
    this.topic = topic;
    this.writers = new ArrayList<>(writers);
  }

  @Override
  public void open() {
    format = SingleObject.of(topic.type()).withWriterSchemas(writers);
  }

  @Override
  public T decode(Received received) {
    return format.decode(received.value());
  }
}
