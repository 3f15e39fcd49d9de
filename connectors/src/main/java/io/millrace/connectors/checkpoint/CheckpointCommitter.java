package io.millrace.connectors.checkpoint;

import io.millrace.connectors.kafka.KafkaSettings;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import org.apache.flink.api.connector.sink2.Committer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Renames, then announces. Either may have been done by an attempt that died before it could say
 * so: a rename is then found done, and an announcement is found in its topic and not repeated.
 */
final class CheckpointCommitter implements Committer<StagedCheckpoint> {

  private static final String VERSION_HEADER = "millrace-version";

  private final KafkaSettings settings;
  private KafkaProducer<byte[], byte[]> producer;

  /** The last version announced, by topic and name. */
  private final Map<String, Map<String, Long>> announced = new HashMap<>();

  CheckpointCommitter(KafkaSettings settings) {
    this.settings = settings;
  }

  @Override
  public void commit(Collection<CommitRequest<StagedCheckpoint>> requests)
      throws IOException, InterruptedException {
    List<StagedCheckpoint> checkpoints =
        requests.stream()
            .map(CommitRequest::getCommittable)
            .sorted(Comparator.comparingLong(checkpoint -> checkpoint.version))
            .toList();
    for (StagedCheckpoint checkpoint : checkpoints) {
      CheckpointStore.publish(
          Path.of(checkpoint.stagedDirectory),
          Path.of(checkpoint.finalDirectory),
          checkpoint.manifestSha256);
      announce(checkpoint);
    }
  }

  private void announce(StagedCheckpoint checkpoint) throws IOException, InterruptedException {
    Map<String, Long> versions = announced.get(checkpoint.topic);
    if (versions == null) {
      versions = lastVersions(checkpoint.topic);
      announced.put(checkpoint.topic, versions);
    }
    if (versions.getOrDefault(checkpoint.name, Long.MIN_VALUE) >= checkpoint.version) {
      return;
    }
    ProducerRecord<byte[], byte[]> record =
        new ProducerRecord<>(
            checkpoint.topic,
            checkpoint.name.getBytes(StandardCharsets.UTF_8),
            checkpoint.announcement);
    record
        .headers()
        .add(VERSION_HEADER, Long.toString(checkpoint.version).getBytes(StandardCharsets.US_ASCII));
    try {
      producer().send(record).get();
    } catch (ExecutionException e) {
      throw new IOException(
          "cannot announce version %d of %s on %s at %s: %s"
              .formatted(
                  checkpoint.version,
                  checkpoint.name,
                  checkpoint.topic,
                  settings.bootstrapServers(),
                  e.getCause().getMessage()),
          e.getCause());
    }
    versions.put(checkpoint.name, checkpoint.version);
  }

  private KafkaProducer<byte[], byte[]> producer() {
    if (producer == null) {
      Properties properties = settings.clientProperties();
      properties.setProperty("enable.idempotence", "true");
      properties.setProperty("acks", "all");
      producer =
          new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer());
    }
    return producer;
  }

  private Map<String, Long> lastVersions(String topic) {
    Properties properties = settings.clientProperties();
    properties.setProperty("isolation.level", "read_committed");
    properties.setProperty("enable.auto.commit", "false");
    Map<String, Long> versions = new HashMap<>();
    try (KafkaConsumer<byte[], byte[]> consumer =
        new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
      List<TopicPartition> partitions =
          consumer.partitionsFor(topic).stream()
              .map(info -> new TopicPartition(topic, info.partition()))
              .toList();
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
      Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
      while (ends.entrySet().stream()
          .anyMatch(end -> consumer.position(end.getKey()) < end.getValue())) {
        for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(100))) {
          var header = record.headers().lastHeader(VERSION_HEADER);
          if (header != null && record.key() != null) {
            versions.merge(
                new String(record.key(), StandardCharsets.UTF_8),
                Long.parseLong(new String(header.value(), StandardCharsets.US_ASCII)),
                Math::max);
          }
        }
      }
    }
    return versions;
  }

  @Override
  public void close() {
    if (producer != null) {
      producer.close(Duration.ofSeconds(5));
    }
  }
}
