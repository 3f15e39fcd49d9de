package io.millrace.connectors.flink.source;

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

  /** The position at which a job without a Flink checkpoint begins to read. */
  public enum Start {
    /** After the last record that the consumer group committed; for a new group, at the first. */
    COMMITTED,
    /** At the first record, whatever the consumer group has committed. */
    EARLIEST,
    /** After the present last record. */
    LATEST
  }

  /** Whether a source ends. */
  public enum Bound {
    /** The source never ends. */
    UNBOUNDED,
    /** The source ends at the end offsets that it finds when it starts. */
    CURRENT_END
  }

  /** How often a source looks for new partitions, in milliseconds; a client property sets it. */
  private static final String DISCOVERY = "partition.discovery.interval.ms";

  private static final String DISCOVERY_MILLIS = "30000";

  /**
   * A source of a topic's committed records. A source without end also reads partitions that are
   * added later, from their first record. It looks for them every 30 seconds, or as often as the
   * client property {@code partition.discovery.interval.ms} says.
   *
   * @param groupId the consumer group under which progress is committed for monitoring. A job
   *     resumes from its Flink checkpoint, not from here.
   */
  public static Source<Received, ?, ?> received(
      KafkaSettings settings, Topic<?> topic, String groupId, Start start, Bound bound) {
    KafkaSourceBuilder<Received> builder =
        KafkaSource.<Received>builder()
            // The user's properties come first, because the setters below must override them.
            .setProperty(DISCOVERY, DISCOVERY_MILLIS)
            .setProperties(settings.properties(Map.of("isolation.level", "read_committed")))
            .setBootstrapServers(settings.bootstrapServers())
            .setTopics(settings.nameOf(topic))
            .setGroupId(groupId)
            .setClientIdPrefix(groupId + "." + topic.name())
            .setStartingOffsets(offsets(start))
            .setDeserializer(new ReceivedDeserializer());
    if (bound == Bound.CURRENT_END) {
      // A bounded source reads the partitions that exist when it starts, and looks for no more.
      builder.setBounded(OffsetsInitializer.latest()).setProperty(DISCOVERY, "-1");
      return new BoundedKafkaSource<>(builder.build());
    }
    return builder.build();
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
