package io.millrace.connectors.kafka;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;

/** Kafka's admin client, whose failures are IOExceptions that name the cluster. */
final class AdminCalls implements AutoCloseable {
  private final KafkaSettings settings;
  private final Admin admin;

  AdminCalls(KafkaSettings settings) {
    this.settings = settings;
    this.admin =
        settings.client(
            Admin::create,
            Map.of("request.timeout.ms", "10000", "default.api.timeout.ms", "20000"));
  }

  KafkaSettings settings() {
    return settings;
  }

  Admin admin() {
    return admin;
  }

  /**
   * Waits for a result.
   *
   * @param action completes "Kafka did not …", such as "list its topics"
   */
  <R> R get(KafkaFuture<R> future, String action) throws IOException {
    try {
      return future.get();
    } catch (ExecutionException e) {
      throw settings.failure(action, e.getCause());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("interrupted while waiting for Kafka to " + action);
    }
  }

  /** The offsets of partitions, as a reader of that isolation level sees them. */
  Map<TopicPartition, Long> offsets(
      Iterable<TopicPartition> partitions, OffsetSpec spec, IsolationLevel isolation)
      throws IOException {
    Map<TopicPartition, OffsetSpec> query = new HashMap<>();
    partitions.forEach(partition -> query.put(partition, spec));
    Map<TopicPartition, ListOffsetsResultInfo> found =
        get(admin.listOffsets(query, new ListOffsetsOptions(isolation)).all(), "list offsets");
    Map<TopicPartition, Long> offsets = new HashMap<>();
    found.forEach((partition, info) -> offsets.put(partition, info.offset()));
    return offsets;
  }

  @Override
  public void close() {
    admin.close(Duration.ofSeconds(5));
  }
}
