package io.millrace.connectors.checkpoint;

import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.schemas.Topic;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Writes announcements, each version of a key once. Starting, it first shuts out a predecessor that
 * still runs somewhere (Kafka fences the older holder of a transactional id and settles what it
 * left open), and only then reads what was announced; so what it read stays true. For one thread.
 */
final class Announcer implements AutoCloseable {
  private final KafkaSettings settings;
  private final Producer<byte[], byte[]> producer;
  private final Map<String, Map<ByteBuffer, Long>> latest = new HashMap<>();

  Announcer(KafkaSettings settings, String transactionalId) throws IOException {
    this.settings = settings;
    this.producer =
        new KafkaProducer<>(
            settings.properties(
                Map.of(
                    "transactional.id", transactionalId,
                    "acks", "all",
                    "enable.idempotence", "true",
                    "max.block.ms", "30000",
                    "transaction.timeout.ms", "60000")),
            new ByteArraySerializer(),
            new ByteArraySerializer());
    try {
      producer.initTransactions();
    } catch (KafkaException e) {
      producer.close(Duration.ZERO);
      throw failure("prepare to announce checkpoints", e);
    }
  }

  /**
   * Announces a version, unless its key already is at it or beyond.
   *
   * @return whether it was announced now
   */
  boolean announce(StagedCheckpoint staged) throws IOException {
    Topic<?> topic = Topic.named(staged.topic(), "");
    Map<ByteBuffer, Long> versions = latest.get(staged.topic());
    if (versions == null) {
      versions = Announcements.versions(settings, topic);
      latest.put(staged.topic(), versions);
    }
    ByteBuffer key = ByteBuffer.wrap(staged.key());
    if (versions.getOrDefault(key, Long.MIN_VALUE) >= staged.version()) {
      return false;
    }
    String name = settings.nameOf(topic);
    try {
      producer.beginTransaction();
      // What sending fails at, commitTransaction throws.
      var _ = producer.send(new ProducerRecord<>(name, staged.key(), staged.announcement()));
      producer.commitTransaction();
    } catch (KafkaException e) {
      // It may or may not have been announced: the job restarts, and its next announcer looks.
      throw failure("announce version " + staged.version() + " in " + name, e);
    }
    versions.put(key, staged.version());
    return true;
  }

  @Override
  public void close() {
    producer.close(Duration.ofSeconds(5));
  }

  private IOException failure(String action, KafkaException e) {
    return new IOException(
        "Kafka at %s (kafka.bootstrap-servers) did not %s: %s"
            .formatted(settings.bootstrapServers(), action, e.getMessage()),
        e);
  }
}
