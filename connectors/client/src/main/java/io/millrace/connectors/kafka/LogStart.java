package io.millrace.connectors.kafka;

import java.io.IOException;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.TopicPartition;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The first offset that Kafka still has of each partition of a topic. For one thread. */
public final class LogStart implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(LogStart.class);
  private static final Duration EVERY = Duration.ofSeconds(1);

  private final KafkaSettings settings;
  private final String topic;
  private AdminCalls calls;
  private CompletableFuture<Map<Integer, Long>> request;
  private long asked = System.nanoTime() - EVERY.toNanos();

  /**
   * @param topic the topic's full name
   */
  public LogStart(KafkaSettings settings, String topic) {
    this.settings = settings;
    this.topic = topic;
  }

  /** Asks Kafka and waits. */
  public synchronized Map<Integer, Long> now() throws IOException {
    if (calls == null) {
      calls = new AdminCalls(settings);
    }
    TopicDescription description =
        calls
            .get(
                calls.admin().describeTopics(List.of(topic)).allTopicNames(),
                "describe topic " + topic)
            .get(topic);
    Map<Integer, Long> starts = new HashMap<>();
    calls
        .offsets(
            description.partitions().stream()
                .map(info -> new TopicPartition(topic, info.partition()))
                .toList(),
            OffsetSpec.earliest(),
            IsolationLevel.READ_UNCOMMITTED)
        .forEach((partition, offset) -> starts.put(partition.partition(), offset));
    return starts;
  }

  /**
   * Asks Kafka in another thread, at most once a second and one question at a time.
   *
   * @return whether this call has asked; {@link #answer} is from after it then
   */
  public boolean ask() {
    if (request != null || System.nanoTime() - asked < EVERY.toNanos()) {
      return false;
    }
    asked = System.nanoTime();
    request =
        CompletableFuture.supplyAsync(
            () -> {
              try {
                return now();
              } catch (IOException e) {
                LOG.warn("cannot list the first offsets of {}", topic, e);
                return Map.of();
              }
            },
            task -> Thread.ofVirtual().name("first offsets of " + topic).start(task));
    return true;
  }

  /** The answer, once there is one, and only once; no offsets after a failure. */
  public Optional<Map<Integer, Long>> answer() {
    if (request == null || !request.isDone()) {
      return Optional.empty();
    }
    Map<Integer, Long> starts = request.join();
    request = null;
    return Optional.of(starts);
  }

  @Override
  public void close() {
    if (request != null) {
      var _ = request.join();
    }
    if (calls != null) {
      calls.close();
    }
  }
}
