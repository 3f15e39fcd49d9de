package io.millrace.connectors.kafka;

import io.millrace.schemas.Topic;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;

/**
 * How far a consumer group is behind the end of a topic. A job commits its positions with each
 * Flink checkpoint.
 *
 * @param records committed records that the group has not read; transaction markers between them
 *     count too
 * @param oldest time of the first of those records; empty if there is none
 */
public record TopicLag(long records, Optional<Instant> oldest) {

  private static final Duration POLL = Duration.ofSeconds(2);

  /**
   * Measures the lag of a group.
   *
   * @param positions the next record that the group reads, by partition
   */
  public static TopicLag of(KafkaSettings settings, Topic<?> topic, Map<Integer, Long> positions)
      throws IOException {
    try (KafkaConsumer<byte[], byte[]> consumer =
        ByteConsumers.open(
            settings,
            IsolationLevel.READ_COMMITTED,
            Map.of("max.poll.records", "1", "default.api.timeout.ms", "10000"))) {
      long records = 0;
      Optional<Instant> oldest = Optional.empty();
      Map<TopicPartition, Long> assigned = new HashMap<>();
      positions.forEach(
          (partition, offset) ->
              assigned.put(new TopicPartition(settings.nameOf(topic), partition), offset));
      Map<TopicPartition, Long> ends = consumer.endOffsets(assigned.keySet());
      for (Map.Entry<TopicPartition, Long> partition : assigned.entrySet()) {
        long end = ends.get(partition.getKey());
        if (partition.getValue() >= end) {
          continue;
        }
        Optional<ConsumerRecord<byte[], byte[]>> first =
            first(consumer, partition.getKey(), partition.getValue(), end);
        if (first.isPresent()) {
          records += end - first.get().offset();
          Instant time = Instant.ofEpochMilli(first.get().timestamp());
          oldest = oldest.filter(other -> other.isBefore(time)).or(() -> Optional.of(time));
        }
      }
      return new TopicLag(records, oldest);
    } catch (KafkaException e) {
      throw settings.failure("report the lag on " + settings.nameOf(topic), e);
    }
  }

  /** The first record from a position; empty if only transaction markers follow. */
  private static Optional<ConsumerRecord<byte[], byte[]>> first(
      KafkaConsumer<byte[], byte[]> consumer, TopicPartition partition, long position, long end) {
    consumer.assign(List.of(partition));
    consumer.seek(partition, position);
    long deadline = System.nanoTime() + POLL.toNanos();
    while (consumer.position(partition) < end && System.nanoTime() < deadline) {
      for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(200))) {
        return Optional.of(record);
      }
    }
    return Optional.empty();
  }
}
