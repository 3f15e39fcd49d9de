package io.millrace.connectors.kafka;

import io.millrace.schemas.Topic;
import io.millrace.schemas.wire.SingleObject;
import java.io.IOException;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.avro.specific.SpecificRecordBase;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Sends records to their topics; what it was given is acknowledged once {@link #flush} returns. */
public final class RecordWriter implements AutoCloseable {

  private final KafkaSettings settings;
  private final KafkaProducer<String, byte[]> producer;
  private final Map<Class<?>, SingleObject<? extends SpecificRecordBase>> codecs = new HashMap<>();
  private final AtomicReference<Exception> failure = new AtomicReference<>();

  public RecordWriter(KafkaSettings settings) {
    this.settings = settings;
    Properties properties = settings.clientProperties();
    properties.putIfAbsent("enable.idempotence", "true");
    properties.putIfAbsent("linger.ms", "5");
    properties.putIfAbsent("max.block.ms", "20000");
    properties.putIfAbsent("delivery.timeout.ms", "30000");
    properties.putIfAbsent("request.timeout.ms", "10000");
    properties.putIfAbsent("max.request.size", "16777216");
    this.producer =
        new KafkaProducer<>(properties, new StringSerializer(), new ByteArraySerializer());
  }

  /** Sends a record to the topic of its type. */
  public <T extends SpecificRecordBase> void send(T record) throws IOException {
    @SuppressWarnings("unchecked") // a record's class is its own type
    Class<T> type = (Class<T>) record.getClass();
    @SuppressWarnings("unchecked") // codecs are filed under their type
    SingleObject<T> codec =
        (SingleObject<T>) codecs.computeIfAbsent(type, key -> SingleObject.of(type));
    Topic topic = Topic.of(type);
    send(topic, topic.key(record), codec.encode(record));
  }

  /** Sends raw bytes, whatever they are. */
  public void send(Topic topic, String key, byte[] value) throws IOException {
    throwFailure();
    String name = topic.name(settings.topicPrefix());
    try {
      // A failure comes through the callback.
      Future<RecordMetadata> _ =
          producer.send(
              new ProducerRecord<>(name, key, value),
              (metadata, error) -> {
                if (error != null) {
                  failure.compareAndSet(null, error);
                }
              });
    } catch (RuntimeException e) {
      failure.compareAndSet(null, e);
    }
    throwFailure();
  }

  /** Waits until all records are acknowledged. */
  public void flush() throws IOException {
    producer.flush();
    throwFailure();
  }

  private void throwFailure() throws IOException {
    Exception error = failure.get();
    if (error != null) {
      throw new IOException(
          "Kafka at " + settings.bootstrapServers() + ": " + error.getMessage(), error);
    }
  }

  @Override
  public void close() {
    producer.close(Duration.ofSeconds(5));
  }
}
