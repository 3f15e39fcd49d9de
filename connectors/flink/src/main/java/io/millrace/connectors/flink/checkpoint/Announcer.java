package io.millrace.connectors.flink.checkpoint;

import io.millrace.connectors.checkpoint.Announcements;
import io.millrace.connectors.checkpoint.StagedCheckpoint;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.registry.RegistryException;
import io.millrace.schemas.Topic;
import io.millrace.schemas.wire.SingleObject;
import io.millrace.schemas.wire.WireFormat;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import org.apache.avro.specific.SpecificRecordBase;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Writes announcements to Kafka, each version of a key once. For one thread.
 *
 * <p>A predecessor may still run somewhere. So the constructor first makes Kafka fence the older
 * holder of the transactional id and settle its open transaction. Only then are the announced
 * versions read, and no other writer can add to them.
 */
final class Announcer implements AutoCloseable {
  private final KafkaSettings settings;
  private final Producer<byte[], byte[]> producer;
  private final Map<String, Map<ByteBuffer, Long>> latest = new HashMap<>();

  Announcer(KafkaSettings settings, String transactionalId) throws IOException {
    this.settings = settings;
    this.producer =
        new KafkaProducer<>(
            settings.producerProperties(
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
      throw settings.failure("prepare to announce checkpoints", e);
    }
  }

  /**
   * Announces a version, unless its key has announced this version or a later one.
   *
   * @return whether this call announced it
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
    byte[] value = inFormatOf(topic, staged.announcement());
    try {
      producer.beginTransaction();
      // A failed send makes commitTransaction throw.
      var _ = producer.send(new ProducerRecord<>(name, staged.key(), value));
      producer.commitTransaction();
    } catch (KafkaException e) {
      // The record may be committed or not. The job restarts, and the next announcer reads the
      // topic to find out.
      throw settings.failure("announce version " + staged.version() + " in " + name, e);
    }
    versions.put(key, staged.version());
    return true;
  }

  /** State has announcements in single-object encoding, whatever format the topic has. */
  private <T extends SpecificRecordBase> byte[] inFormatOf(Topic<T> topic, byte[] announcement)
      throws IOException {
    if (settings.wire().formatOf(topic) == WireFormat.SINGLE_OBJECT) {
      return announcement;
    }
    try {
      return settings.encoder(topic).encode(SingleObject.of(topic.type()).decode(announcement));
    } catch (RegistryException e) {
      throw e.getCause();
    }
  }

  @Override
  public void close() {
    producer.close(Duration.ofSeconds(5));
  }
}
