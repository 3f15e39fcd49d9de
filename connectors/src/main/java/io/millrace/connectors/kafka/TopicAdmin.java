package io.millrace.connectors.kafka;

import io.millrace.schemas.Topic;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.TopicConfig;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

/** Creates and describes the topics. */
public final class TopicAdmin implements AutoCloseable {

  private static final Duration TIMEOUT = Duration.ofSeconds(20);

  private final Admin admin;
  private final KafkaSettings settings;

  public TopicAdmin(KafkaSettings settings) {
    this.settings = settings;
    Properties properties = settings.clientProperties();
    properties.putIfAbsent("default.api.timeout.ms", String.valueOf(TIMEOUT.toMillis()));
    properties.putIfAbsent("request.timeout.ms", String.valueOf(TIMEOUT.toMillis() / 2));
    this.admin = Admin.create(properties);
  }

  /** Creates those topics that do not exist, with the cluster's default replication. */
  public void createTopics(int partitions) throws IOException {
    List<NewTopic> missing = new ArrayList<>();
    for (Topic topic : Topic.values()) {
      Map<String, String> config = new HashMap<>();
      if (topic.compacted()) {
        config.put(TopicConfig.CLEANUP_POLICY_CONFIG, TopicConfig.CLEANUP_POLICY_COMPACT);
      }
      NewTopic created =
          new NewTopic(
              topic.name(settings.topicPrefix()),
              Optional.of(topic.compacted() ? 1 : partitions),
              Optional.empty());
      missing.add(created.configs(config));
    }
    for (KafkaFuture<Void> created : admin.createTopics(missing).values().values()) {
      try {
        await(created);
      } catch (IOException e) {
        if (!(e.getCause() instanceof TopicExistsException)) {
          throw e;
        }
      }
    }
  }

  /**
   * A topic as it stands.
   *
   * @param records between the first and the last offset, all partitions together; transactions'
   *     markers count
   */
  public record Status(Topic topic, String name, int partitions, long records) {}

  /** All topics that exist. */
  public List<Status> describe() throws IOException {
    List<Status> statuses = new ArrayList<>();
    for (Topic topic : Topic.values()) {
      String name = topic.name(settings.topicPrefix());
      TopicDescription description;
      try {
        description = await(admin.describeTopics(List.of(name)).allTopicNames()).get(name);
      } catch (IOException e) {
        if (e.getCause() instanceof UnknownTopicOrPartitionException) {
          continue;
        }
        throw e;
      }
      Map<TopicPartition, OffsetSpec> first = new HashMap<>();
      Map<TopicPartition, OffsetSpec> last = new HashMap<>();
      description
          .partitions()
          .forEach(
              partition -> {
                TopicPartition id = new TopicPartition(name, partition.partition());
                first.put(id, OffsetSpec.earliest());
                last.put(id, OffsetSpec.latest());
              });
      long records = offsets(last) - offsets(first);
      statuses.add(new Status(topic, name, description.partitions().size(), records));
    }
    return statuses;
  }

  private long offsets(Map<TopicPartition, OffsetSpec> specs) throws IOException {
    return await(admin.listOffsets(specs).all()).values().stream()
        .mapToLong(info -> info.offset())
        .sum();
  }

  private <T> T await(KafkaFuture<T> future) throws IOException {
    try {
      return future.get(TIMEOUT.toMillis(), TimeUnit.MILLISECONDS);
    } catch (ExecutionException e) {
      throw failed(e.getCause());
    } catch (TimeoutException e) {
      throw failed(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw failed(e);
    }
  }

  private IOException failed(Throwable cause) {
    return new IOException(
        "Kafka at %s: %s"
            .formatted(
                settings.bootstrapServers(),
                cause.getMessage() == null
                    ? "no answer within " + TIMEOUT.toSeconds() + " s"
                    : cause.getMessage()),
        cause);
  }

  @Override
  public void close() {
    admin.close(Duration.ofSeconds(5));
  }
}
