package io.millrace.connectors.kafka;

import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;

/** Finds single records of any topic by their offset, undecoded. For one thread. */
public final class TopicRecords implements AutoCloseable {
  private static final Duration POLL = Duration.ofMillis(200);

  private final KafkaSettings settings;
  private final KafkaConsumer<byte[], byte[]> consumer;

  public TopicRecords(KafkaSettings settings) {
    this.settings = settings;
    this.consumer =
        ByteConsumers.open(
            settings, IsolationLevel.READ_COMMITTED, Map.of("default.api.timeout.ms", "20000"));
  }

  /**
   * A record by its place.
   *
   * @param topic the topic's full name
   * @return empty if Kafka has deleted the record, or never had it, or if it is a tombstone
   */
  public Optional<ConsumerRecord<byte[], byte[]>> at(String topic, int partition, long offset)
      throws IOException {
    try {
      TopicPartition place = new TopicPartition(topic, partition);
      if (!partitions(topic).contains(place)
          || offset < consumer.beginningOffsets(List.of(place)).get(place)
          || offset >= consumer.endOffsets(List.of(place)).get(place)) {
        return Optional.empty();
      }
      consumer.assign(List.of(place));
      consumer.seek(place, offset);
      while (consumer.position(place) <= offset) {
        for (ConsumerRecord<byte[], byte[]> found : consumer.poll(POLL).records(place)) {
          return found.offset() == offset && found.value() != null
              ? Optional.of(found)
              : Optional.empty();
        }
      }
      return Optional.empty();
    } catch (KafkaException e) {
      throw settings.failure("read topic " + topic, e);
    }
  }

  /**
   * Passes every record of some partitions, from an offset to the present end, to {@code sink}.
   *
   * @param topic the topic's full name; a topic that does not exist has no records
   * @param from the first offset by partition; partitions that do not exist have no records
   */
  public void from(
      String topic, Map<Integer, Long> from, Consumer<ConsumerRecord<byte[], byte[]>> sink)
      throws IOException {
    try {
      List<TopicPartition> partitions = new ArrayList<>(partitions(topic));
      partitions.removeIf(partition -> !from.containsKey(partition.partition()));
      Map<TopicPartition, Long> beginnings = consumer.beginningOffsets(partitions);
      Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
      consumer.assign(partitions);
      for (TopicPartition partition : partitions) {
        long wanted = Math.max(from.get(partition.partition()), beginnings.get(partition));
        consumer.seek(partition, Math.min(wanted, ends.get(partition)));
      }
      while (ends.entrySet().stream()
          .anyMatch(end -> consumer.position(end.getKey()) < end.getValue())) {
        consumer.poll(POLL).forEach(sink);
      }
    } catch (KafkaException e) {
      throw settings.failure("read topic " + topic, e);
    }
  }

  /** The number of a topic's partitions; 0 if it does not exist. */
  public int partitionCount(String topic) throws IOException {
    try {
      return partitions(topic).size();
    } catch (KafkaException e) {
      throw settings.failure("read topic " + topic, e);
    }
  }

  private List<TopicPartition> partitions(String topic) {
    List<TopicPartition> partitions = new ArrayList<>();
    consumer
        .partitionsFor(topic)
        .forEach(info -> partitions.add(new TopicPartition(topic, info.partition())));
    return partitions;
  }

  @Override
  public void close() {
    consumer.close();
  }
}
