package io.millrace.connectors.flink;

import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.schemas.Topic;
import java.util.Map;
import org.apache.flink.api.connector.source.Source;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.KafkaSourceBuilder;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.kafka.clients.consumer.OffsetResetStrategy;

/** Kafka topics as Flink sources. */
public final class Sources {
  private Sources() {}

  /** Where a job without a Flink checkpoint to restore begins to read. */
  public enum Start {
    /**
     * After the last record that the consumer group finished; at the first record for a new group.
     */
    COMMITTED,
    /** At the first record, whatever the group read before. */
    EARLIEST,
    /** After the last record there is. */
    LATEST
  }

  /** Whether a job ever ends. */
  public enum Bound {
    /** Reads on for ever. */
    UNBOUNDED,
    /** Stops at the end offsets found at start. */
    CURRENT_END
  }

  /**
   * A source of a topic's committed records. New partitions are looked for only where the client
   * property {@code partition.discovery.interval.ms} asks for it.
   *
   * @param groupId the consumer group under which progress is committed, for people to watch; what
   *     a job resumes from is its Flink checkpoint
   */
  public static Source<Received, ?, ?> received(
      KafkaSettings settings, Topic<?> topic, String groupId, Start start, Bound bound) {
    KafkaSourceBuilder<Received> builder =
        KafkaSource.<Received>builder()
            // The client's own properties first: the builder's setters have the last word.
            .setProperty("partition.discovery.interval.ms", "-1")
            .setProperties(settings.properties(Map.of("isolation.level", "read_committed")))
            .setBootstrapServers(settings.bootstrapServers())
            .setTopics(settings.nameOf(topic))
            .setGroupId(groupId)
            .setClientIdPrefix(groupId + "." + topic.name())
            .setStartingOffsets(offsets(start))
            .setDeserializer(new ReceivedDeserializer());
    return bound == Bound.CURRENT_END
        ? new BoundedKafkaSource<>(builder.setBounded(OffsetsInitializer.latest()).build())
        : builder.build();
  }

  @SuppressWarnings("deprecation") // The connector's own signature asks for the deprecated enum.
  private static OffsetsInitializer offsets(Start start) {
    return switch (start) {
      case COMMITTED -> OffsetsInitializer.committedOffsets(OffsetResetStrategy.EARLIEST);
      case EARLIEST -> OffsetsInitializer.earliest();
      case LATEST -> OffsetsInitializer.latest();
    };
  }
}
