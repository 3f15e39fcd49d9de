package io.millrace.connectors.kafka;

import io.millrace.connectors.registry.RegistryException;
import io.millrace.schemas.Topic;
import io.millrace.schemas.wire.RecordDecoder;
import io.millrace.schemas.wire.WireFormatException;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Queue;
import java.util.function.Consumer;
import org.apache.avro.Schema;
import org.apache.avro.specific.SpecificRecordBase;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;

/**
 * Reads the committed records of all partitions of one topic. Partitions that are added later are
 * read too. A reader {@linkplain #fromCommitted with a consumer group} keeps its offsets in Kafka;
 * it is not a member of the group, so that two readers of one group both get every record. A record
 * that cannot be decoded becomes an entry with its problem. A tombstone, which has no value, is
 * passed over. For one thread.
 *
 * @param <T> the record type
 */
public final class RecordReader<T extends SpecificRecordBase> implements AutoCloseable {
  private static final Duration POLL = Duration.ofMillis(100);
  private static final Duration DISCOVERY = Duration.ofSeconds(30);

  private final KafkaSettings settings;
  private final String name;
  private final RecordDecoder<T> format;
  private final KafkaConsumer<byte[], byte[]> consumer;
  private final List<TopicPartition> partitions;
  private final Duration discovery;
  private long discovered = System.nanoTime();
  private final Queue<Entry<T>> ready = new ArrayDeque<>();

  private RecordReader(
      KafkaSettings settings,
      Topic<T> topic,
      Collection<Schema> writers,
      boolean fromStart,
      Duration discovery)
      throws IOException {
    this(settings, topic, writers, fromStart, discovery, Map.of());
  }

  private RecordReader(
      KafkaSettings settings,
      Topic<T> topic,
      Collection<Schema> writers,
      boolean fromStart,
      Duration discovery,
      Map<String, String> properties)
      throws IOException {
    this.discovery = discovery;
    this.settings = settings;
    this.name = settings.nameOf(topic);
    this.format = settings.decoder(topic, writers);
    Map<String, String> all = new HashMap<>(properties);
    // The consumer answers partitionsFor from its metadata.
    all.put("metadata.max.age.ms", Long.toString(discovery.toMillis()));
    all.put("default.api.timeout.ms", "20000");
    this.consumer = ByteConsumers.open(settings, IsolationLevel.READ_COMMITTED, all);
    try {
      this.partitions = new ArrayList<>(existing());
      if (partitions.isEmpty()) {
        throw new IOException(
            "topic %s does not exist at %s; create it with: millrace topics --create"
                .formatted(name, settings.bootstrapServers()));
      }
      consumer.assign(partitions);
      if (fromStart) {
        consumer.seekToBeginning(partitions);
      } else {
        consumer.seekToEnd(partitions);
      }
      // Seeking is lazy. This fixes "latest" to the time of this call.
      partitions.forEach(consumer::position);
    } catch (KafkaException e) {
      consumer.close();
      throw settings.failure("open topic " + name + " for reading", e);
    } catch (IOException e) {
      consumer.close();
      throw e;
    }
  }

  /**
   * One record of the topic.
   *
   * @param key the raw key, or null
   * @param value the raw value, or null
   * @param record the decoded record; empty when it cannot be decoded
   * @param problem the reason why it cannot be decoded; empty when it can
   */
  public record Entry<T>(
      int partition,
      long offset,
      Instant timestamp,
      byte[] key,
      byte[] value,
      Optional<T> record,
      Optional<WireFormatException> problem) {}

  /** A reader that starts at the beginning of the topic. */
  public static <T extends SpecificRecordBase> RecordReader<T> fromEarliest(
      KafkaSettings settings, Topic<T> topic) throws IOException {
    return new RecordReader<>(settings, topic, List.of(), true, DISCOVERY);
  }

  /**
   * A reader that starts at the beginning of the topic.
   *
   * @param discovery how often it looks for new partitions; 30 seconds for other readers
   */
  static <T extends SpecificRecordBase> RecordReader<T> fromEarliest(
      KafkaSettings settings, Topic<T> topic, Duration discovery) throws IOException {
    return new RecordReader<>(settings, topic, List.of(), true, discovery);
  }

  /** A reader that starts at the present end of the topic. */
  public static <T extends SpecificRecordBase> RecordReader<T> fromLatest(
      KafkaSettings settings, Topic<T> topic) throws IOException {
    return new RecordReader<>(settings, topic, List.of(), false, DISCOVERY);
  }

  /** A reader that starts at the beginning and knows the schemas of further writers. */
  public static <T extends SpecificRecordBase> RecordReader<T> fromEarliest(
      KafkaSettings settings, Topic<T> topic, Collection<Schema> writers) throws IOException {
    return new RecordReader<>(settings, topic, writers, true, DISCOVERY);
  }

  /** A reader that starts at the first record that Kafka got at or after a time. */
  public static <T extends SpecificRecordBase> RecordReader<T> fromTime(
      KafkaSettings settings, Topic<T> topic, Instant time) throws IOException {
    RecordReader<T> reader = new RecordReader<>(settings, topic, List.of(), false, DISCOVERY);
    try {
      Map<TopicPartition, Long> times = new HashMap<>();
      reader.partitions.forEach(partition -> times.put(partition, time.toEpochMilli()));
      reader
          .consumer
          .offsetsForTimes(times)
          .forEach(
              (partition, found) -> {
                // Without such a record the reader stays at the end.
                if (found != null) {
                  reader.consumer.seek(partition, found.offset());
                }
              });
      return reader;
    } catch (KafkaException e) {
      reader.close();
      throw settings.failure("find the records of topic " + reader.name + " since " + time, e);
    }
  }

  /**
   * A reader that starts where a consumer group has committed last, or at the beginning of the
   * topic.
   */
  public static <T extends SpecificRecordBase> RecordReader<T> fromCommitted(
      KafkaSettings settings, Topic<T> topic, String group) throws IOException {
    RecordReader<T> reader =
        new RecordReader<>(settings, topic, List.of(), true, DISCOVERY, Map.of("group.id", group));
    try {
      reader
          .committed()
          .forEach((partition, committed) -> reader.consumer.seek(partition, committed.offset()));
      return reader;
    } catch (KafkaException e) {
      reader.close();
      throw settings.failure("read the offsets of consumer group " + group, e);
    }
  }

  private Map<TopicPartition, OffsetAndMetadata> committed() {
    Map<TopicPartition, OffsetAndMetadata> committed =
        new HashMap<>(consumer.committed(new HashSet<>(partitions)));
    committed.values().removeIf(Objects::isNull);
    return committed;
  }

  /**
   * Commits that an entry and all before it in its partition are done. For a reader {@linkplain
   * #fromCommitted with a consumer group}.
   *
   * @param note stored beside the offset
   */
  public void commit(Entry<T> entry, String note) throws IOException {
    try {
      consumer.commitSync(
          Map.of(
              new TopicPartition(name, entry.partition()),
              new OffsetAndMetadata(entry.offset() + 1, note)));
    } catch (KafkaException e) {
      throw settings.failure("commit an offset of topic " + name, e);
    }
  }

  /** The notes of what is committed, one a partition. */
  public List<String> committedNotes() throws IOException {
    try {
      return committed().values().stream().map(OffsetAndMetadata::metadata).toList();
    } catch (KafkaException e) {
      throw failure(e);
    }
  }

  private List<TopicPartition> existing() {
    return consumer.partitionsFor(name).stream()
        .map(info -> new TopicPartition(name, info.partition()))
        .toList();
  }

  /** Reads partitions that were added to the topic, from their first record. */
  private void discover() throws IOException {
    if (System.nanoTime() - discovered < discovery.toNanos()) {
      return;
    }
    discovered = System.nanoTime();
    try {
      List<TopicPartition> added = new ArrayList<>(existing());
      added.removeAll(partitions);
      if (!added.isEmpty()) {
        partitions.addAll(added);
        consumer.assign(partitions);
        consumer.seekToBeginning(added);
      }
    } catch (KafkaException e) {
      throw failure(e);
    }
  }

  /** The next entry; empty when none arrives within {@code timeout}. */
  public Optional<Entry<T>> next(Duration timeout) throws IOException {
    long deadline = System.nanoTime() + timeout.toNanos();
    while (ready.isEmpty()) {
      discover();
      long left = deadline - System.nanoTime();
      if (left <= 0) {
        return Optional.empty();
      }
      poll(left < POLL.toNanos() ? Duration.ofNanos(left) : POLL);
    }
    return Optional.of(ready.remove());
  }

  /** Counts the records up to the present end of the topic, undecoded. */
  public long countToEnd() throws IOException {
    long count = ready.size();
    ready.clear();
    try {
      Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
      while (!reached(ends)) {
        for (ConsumerRecord<byte[], byte[]> found : consumer.poll(POLL)) {
          count += found.value() == null ? 0 : 1;
        }
      }
      return count;
    } catch (KafkaException e) {
      throw failure(e);
    }
  }

  private boolean reached(Map<TopicPartition, Long> ends) {
    return ends.entrySet().stream()
        .allMatch(end -> consumer.position(end.getKey()) >= end.getValue());
  }

  /**
   * Passes every entry up to the present end of the topic to {@code sink}.
   *
   * @return the number of entries
   */
  public long readToEnd(Consumer<? super Entry<T>> sink) throws IOException {
    long count = 0;
    try {
      Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
      while (true) {
        while (!ready.isEmpty()) {
          sink.accept(ready.remove());
          count++;
        }
        if (reached(ends)) {
          return count;
        }
        poll(POLL);
      }
    } catch (KafkaException e) {
      throw failure(e);
    }
  }

  /**
   * Passes the entries up to the present end of the topic to {@code sink}, and none that arrives
   * after this call began; these cannot be read with this reader any more.
   *
   * @param tombstones takes the keys of records without a value
   */
  public void readSnapshot(Consumer<? super Entry<T>> sink, Consumer<byte[]> tombstones)
      throws IOException {
    try {
      Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
      while (!reached(ends)) {
        for (ConsumerRecord<byte[], byte[]> found : consumer.poll(POLL)) {
          if (found.offset() >= ends.get(new TopicPartition(name, found.partition()))) {
            continue;
          }
          if (found.value() != null) {
            sink.accept(entry(found));
          } else if (found.key() != null) {
            tombstones.accept(found.key());
          }
        }
      }
    } catch (KafkaException e) {
      throw failure(e);
    }
  }

  /**
   * The number of offsets between the last entry and the present end of the topic. Transaction
   * markers count too.
   */
  public long remaining() throws IOException {
    try {
      return ready.size()
          + consumer.endOffsets(partitions).entrySet().stream()
              .mapToLong(end -> Math.max(0, end.getValue() - consumer.position(end.getKey())))
              .sum();
    } catch (KafkaException e) {
      throw failure(e);
    }
  }

  /** The records that this reader does not see yet, because a transaction is open. */
  public List<WaitingRecords> waiting() throws IOException {
    return WaitingRecords.in(settings, partitions);
  }

  @Override
  public void close() {
    consumer.close();
  }

  private void poll(Duration timeout) throws IOException {
    try {
      for (ConsumerRecord<byte[], byte[]> found : consumer.poll(timeout)) {
        if (found.value() != null) {
          ready.add(entry(found));
        }
      }
    } catch (KafkaException e) {
      throw failure(e);
    }
  }

  private Entry<T> entry(ConsumerRecord<byte[], byte[]> found) throws IOException {
    Optional<T> record = Optional.empty();
    Optional<WireFormatException> problem = Optional.empty();
    try {
      record = Optional.of(format.decode(found.value()));
    } catch (WireFormatException e) {
      problem = Optional.of(e);
    } catch (RegistryException e) {
      throw e.getCause();
    }
    return new Entry<>(
        found.partition(),
        found.offset(),
        Instant.ofEpochMilli(found.timestamp()),
        found.key(),
        found.value(),
        record,
        problem);
  }

  private IOException failure(KafkaException e) {
    return settings.failure("read topic " + name, e);
  }
}
