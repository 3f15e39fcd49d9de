package io.millrace.connectors.kafka;

import io.millrace.connectors.registry.RegistryException;
import io.millrace.schemas.RefusedRecordException;
import io.millrace.schemas.Topic;
import io.millrace.schemas.wire.RecordEncoder;
import java.io.IOException;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.avro.specific.SpecificRecordBase;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.header.Header;

/**
 * Writes records to their topics, in order and without repetitions within one writer's life.
 * Sending is asynchronous: a later {@link #send}, {@link #flush} or {@link #close} throws its
 * failure. For one thread.
 */
public final class RecordWriter implements AutoCloseable {
  /** The reason of a record that is larger than {@link KafkaSettings#maxRecordBytes}. */
  public static final String TOO_LARGE = "too-large";

  private final KafkaSettings settings;
  private final Producer<byte[], byte[]> producer;
  private final Map<Topic<?>, RecordEncoder<?>> formats = new HashMap<>();
  private final AtomicReference<Exception> failure = new AtomicReference<>();

  public RecordWriter(KafkaSettings settings) {
    this.settings = settings;
    this.producer =
        settings.byteProducer(
            Map.of(
                "acks", "all",
                "enable.idempotence", "true",
                "linger.ms", "5",
                "max.block.ms", "20000"));
  }

  /**
   * Sends a record to its topic under its key.
   *
   * @throws RefusedRecordException when the record is larger than {@link
   *     KafkaSettings#maxRecordBytes}; it is not sent then
   */
  public <T extends SpecificRecordBase> void send(Topic<T> topic, T record) throws IOException {
    @SuppressWarnings("unchecked") // Only this method fills the map, with each topic's own type.
    RecordEncoder<T> format = (RecordEncoder<T>) formats.get(topic);
    if (format == null) {
      try {
        format = settings.encoder(topic);
      } catch (RegistryException e) {
        throw e.getCause();
      }
      formats.put(topic, format);
    }
    sendRaw(topic, topic.keyBytes(record), format.encode(record));
  }

  /**
   * Sends an encoded record. Key and value may be null.
   *
   * @throws RefusedRecordException when the record is too large, see {@link #send}
   */
  public void sendRaw(Topic<?> topic, byte[] key, byte[] value) throws IOException {
    sendRaw(topic, null, key, value, List.of());
  }

  /**
   * As {@link #sendRaw(Topic, byte[], byte[])}, to a partition and with headers.
   *
   * @param partition null for the partition of the key
   */
  public void sendRaw(
      Topic<?> topic, Integer partition, byte[] key, byte[] value, List<Header> headers)
      throws IOException {
    throwFailure();
    if (!settings.fits(key, value)) {
      throw new RefusedRecordException(TOO_LARGE, settings.tooLarge(topic, key, value));
    }
    String name = settings.nameOf(topic);
    try {
      var _ =
          producer.send(
              new ProducerRecord<>(name, partition, key, value, headers),
              (metadata, exception) -> {
                if (exception != null) {
                  failure.compareAndSet(null, exception);
                }
              });
    } catch (KafkaException e) {
      failure.compareAndSet(null, e);
      throwFailure();
    }
  }

  /** Waits until the brokers have stored every record sent so far. */
  public void flush() throws IOException {
    producer.flush();
    throwFailure();
  }

  /** Flushes and closes. */
  @Override
  public void close() throws IOException {
    try {
      flush();
    } finally {
      producer.close(Duration.ofSeconds(10));
    }
  }

  private void throwFailure() throws IOException {
    Exception cause = failure.get();
    if (cause != null) {
      throw settings.failure("store a record", cause);
    }
  }
}
