package io.millrace.connectors.kafka;

import io.millrace.schemas.Topic;
import io.millrace.schemas.wire.SingleObject;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.avro.specific.SpecificRecordBase;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** Reads a topic from its beginning, committed records only. Used by one thread. */
public final class RecordReader<T extends SpecificRecordBase> implements AutoCloseable {

  private final KafkaSettings settings;
  private final SingleObject<T> codec;
  private final KafkaConsumer<byte[], byte[]> consumer;
  private final List<TopicPartition> partitions;

  public RecordReader(KafkaSettings settings, Class<T> type) throws IOException {
    this.settings = settings;
    this.codec = SingleObject.of(type);
    Properties properties = settings.clientProperties();
    properties.setProperty("isolation.level", "read_committed");
    properties.setProperty("enable.auto.commit", "false");
    properties.putIfAbsent("default.api.timeout.ms", "20000");
    properties.putIfAbsent("max.partition.fetch.bytes", "16777216");
    this.consumer =
        new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    String name = Topic.of(type).name(settings.topicPrefix());
    try {
      this.partitions =
          consumer.partitionsFor(name).stream()
              .map(info -> new TopicPartition(name, info.partition()))
              .toList();
      if (partitions.isEmpty()) {
        throw new IOException("Kafka at " + settings.bootstrapServers() + " has no topic " + name);
      }
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
    } catch (KafkaException e) {
      consumer.close();
      throw failed(e);
    }
  }

  /**
   * A record where it stood.
   *
   * @param value the raw bytes; null for a tombstone
   */
  public record Entry(int partition, long offset, byte[] value) {}

  /** The next entries; none where nothing came in time. */
  public List<Entry> poll(Duration timeout) throws IOException {
    try {
      List<Entry> entries = new ArrayList<>();
      for (ConsumerRecord<byte[], byte[]> record : consumer.poll(timeout)) {
        entries.add(new Entry(record.partition(), record.offset(), record.value()));
      }
      return entries;
    } catch (KafkaException e) {
      throw failed(e);
    }
  }

  /** The entry's record; {@link io.millrace.schemas.wire.WireFormatException} where it is none. */
  public T decode(Entry entry) {
    return codec.decode(entry.value());
  }

  /** The next records, typed. */
  public List<T> records(Duration timeout) throws IOException {
    return poll(timeout).stream().map(this::decode).toList();
  }

  /** Whether everything committed so far has been read. */
  public boolean atEnd() throws IOException {
    try {
      Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
      return ends.entrySet().stream()
          .allMatch(end -> consumer.position(end.getKey()) >= end.getValue());
    } catch (KafkaException e) {
      throw failed(e);
    }
  }

  private IOException failed(KafkaException e) {
    return new IOException("Kafka at " + settings.bootstrapServers() + ": " + e.getMessage(), e);
  }

  @Override
  public void close() {
    consumer.close();
  }
}
