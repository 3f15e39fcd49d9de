package io.millrace.connectors.kafka;

import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;

/**
 * The wanted layout of topics, to compare with existing ones. Compacted topics always have one
 * partition.
 *
 * @param partitions the number of partitions of every other topic; empty: any number is right
 * @param replication the number of copies of each partition; empty: any number is right
 * @param maxRecordBytes the largest record that a topic must take
 */
public record TopicLayout(OptionalInt partitions, OptionalInt replication, int maxRecordBytes) {

  public TopicLayout {
    if (partitions.isPresent() && partitions.getAsInt() < 1) {
      throw new IllegalArgumentException(
          "partitions is %d; it must be at least 1".formatted(partitions.getAsInt()));
    }
  }

  /** A layout that asks for a record size only. */
  public static TopicLayout of(KafkaSettings settings) {
    return new TopicLayout(OptionalInt.empty(), OptionalInt.empty(), settings.maxRecordBytes());
  }

  /** The wanted number of partitions, where it is not the topic's. */
  OptionalInt otherPartitions(TopicAdmin.State topic) {
    return topic.topic().compacted() || partitions.orElse(topic.partitions()) == topic.partitions()
        ? OptionalInt.empty()
        : partitions;
  }

  /** Whether the topic refuses records that {@link #maxRecordBytes} allows. */
  boolean refusesRecords(TopicAdmin.State topic) {
    return topic.maxRecordBytes() < maxRecordBytes;
  }

  /** The differences between existing topics and this layout, each with topic and values. */
  public List<String> differences(List<TopicAdmin.State> topics) {
    List<String> differences = new ArrayList<>();
    for (TopicAdmin.State topic : topics) {
      otherPartitions(topic)
          .ifPresent(
              wanted ->
                  differences.add(
                      "%s has %d partitions, not %d"
                          .formatted(topic.name(), topic.partitions(), wanted)));
      if (replication.isPresent() && replication.getAsInt() != topic.replication()) {
        differences.add(
            "%s has %d replicas, not %d"
                .formatted(topic.name(), topic.replication(), replication.getAsInt()));
      }
      if (refusesRecords(topic)) {
        differences.add(
            "%s takes records up to %d bytes, not %d"
                .formatted(topic.name(), topic.maxRecordBytes(), maxRecordBytes));
      }
    }
    return differences;
  }
}
