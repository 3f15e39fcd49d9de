package io.millrace.connectors.kafka;

import io.millrace.connectors.kafka.ErasureScan.Match;
import io.millrace.schemas.Topic;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.function.Predicate;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;

/**
 * Removes single records from topics. Kafka does so by compaction only: a tombstone for each key, a
 * topic that is compacted for a while with short segments, and a wait for the broker's cleaner. The
 * topics get their former configuration again, also after a failure. For one thread.
 *
 * <p>Compaction drops records without a key, so such a topic is refused. It also keeps only the
 * last record of each other key.
 */
public final class RecordEraser implements AutoCloseable {
  private static final Duration POLL = Duration.ofMillis(200);

  /** Time between two looks whether the records are gone. */
  private static final Duration LOOK = Duration.ofMillis(500);

  /** Time between two tombstones that close a segment. */
  private static final Duration ROLL = Duration.ofSeconds(2);

  private static final Duration NOTICE = Duration.ofSeconds(10);

  /** Two rounds of a broker's cleaner: followers clean their copies themselves. */
  private static final Duration FOLLOWERS = Duration.ofSeconds(30);

  private final KafkaSettings settings;
  private final AdminCalls calls;
  private final KafkaConsumer<byte[], byte[]> consumer;

  public RecordEraser(KafkaSettings settings) {
    this.settings = settings;
    this.calls = new AdminCalls(settings);
    // A record of an aborted transaction lies in the log like any other.
    this.consumer =
        ByteConsumers.open(
            settings, IsolationLevel.READ_UNCOMMITTED, Map.of("default.api.timeout.ms", "20000"));
  }

  /**
   * Reads a topic, with records of open and aborted transactions. A topic that does not exist has
   * none.
   *
   * @param matches whether a record is to go; it is asked once for each record, tombstones excepted
   */
  public ErasureScan scan(Topic<?> topic, Predicate<ConsumerRecord<byte[], byte[]>> matches)
      throws IOException {
    String name = settings.nameOf(topic);
    ErasureScan scan = new ErasureScan(topic, name);
    try {
      List<TopicPartition> partitions =
          consumer.partitionsFor(name).stream()
              .map(info -> new TopicPartition(name, info.partition()))
              .toList();
      Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
      while (isBefore(ends)) {
        for (ConsumerRecord<byte[], byte[]> record : consumer.poll(POLL)) {
          if (record.value() != null) {
            scan.add(record, matches.test(record));
          }
        }
      }
      return scan;
    } catch (KafkaException e) {
      throw settings.failure("read topic " + name, e);
    }
  }

  private boolean isBefore(Map<TopicPartition, Long> ends) {
    return ends.entrySet().stream()
        .anyMatch(end -> consumer.position(end.getKey()) < end.getValue());
  }

  /**
   * Removes the records that scans found, and waits until no reader can get them.
   *
   * @param deadline the longest wait
   * @param progress takes one line from time to time
   * @return how many records are left by topic, if the deadline passed; empty after success
   * @throws IllegalArgumentException for a topic with records without a key
   */
  public Map<String, Long> erase(
      Collection<ErasureScan> scans, Duration deadline, Consumer<String> progress)
      throws IOException {
    List<ErasureScan> work = scans.stream().filter(scan -> scan.matching() > 0).toList();
    for (ErasureScan scan : work) {
      if (scan.keyless() > 0) {
        throw new IllegalArgumentException(
            "topic %s has %d records without a key, which compaction would drop"
                .formatted(scan.name(), scan.keyless()));
      }
    }
    if (work.isEmpty()) {
      return Map.of();
    }
    long end = System.nanoTime() + deadline.toNanos();
    List<String> names = work.stream().map(ErasureScan::name).toList();
    try (RecordWriter writer = new RecordWriter(settings);
        CompactedForAWhile _ = new CompactedForAWhile(calls, names)) {
      for (ErasureScan scan : work) {
        for (Map.Entry<Integer, List<byte[]>> partition : scan.keys().entrySet()) {
          for (byte[] key : partition.getValue()) {
            writer.sendRaw(scan.topic(), partition.getKey(), key, null, List.of());
          }
        }
      }
      writer.flush();
      Map<String, Long> left = await(work, writer, end, progress);
      if (left.isEmpty() && isReplicated(names)) {
        progress.accept("waiting for the copies of the partitions");
        rollUntil(work, writer, System.nanoTime() + FOLLOWERS.toNanos());
      }
      return left;
    } catch (KafkaException e) {
      throw settings.failure("read its topics", e);
    }
  }

  private Map<String, Long> await(
      List<ErasureScan> work, RecordWriter writer, long end, Consumer<String> progress)
      throws IOException {
    long noticed = System.nanoTime();
    // The first segment is old enough soon.
    long rolled = noticed - ROLL.toNanos() + CompactedForAWhile.SEGMENT_AGE.toNanos();
    while (true) {
      Map<String, Long> left = left(work, end);
      if (left.isEmpty() || System.nanoTime() > end) {
        return left;
      }
      pause();
      long now = System.nanoTime();
      if (now - rolled > ROLL.toNanos()) {
        roll(work, writer);
        rolled = now;
      }
      if (now - noticed > NOTICE.toNanos()) {
        notice(work, left, progress);
        noticed = now;
      }
    }
  }

  /** A segment is closed by the first record that comes after its time, and cleaned only then. */
  private static void roll(List<ErasureScan> work, RecordWriter writer) throws IOException {
    for (ErasureScan scan : work) {
      for (List<Match> found : scan.matches().values()) {
        Match first = found.getFirst();
        writer.sendRaw(scan.topic(), first.partition(), first.key(), null, List.of());
      }
    }
    writer.flush();
  }

  private static void rollUntil(List<ErasureScan> work, RecordWriter writer, long end)
      throws IOException {
    long rolled = System.nanoTime();
    while (System.nanoTime() < end) {
      pause();
      if (System.nanoTime() - rolled > ROLL.toNanos()) {
        roll(work, writer);
        rolled = System.nanoTime();
      }
    }
  }

  private static void pause() throws IOException {
    try {
      Thread.sleep(LOOK);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("interrupted while waiting for Kafka's cleaner");
    }
  }

  private void notice(List<ErasureScan> work, Map<String, Long> left, Consumer<String> progress)
      throws IOException {
    left.forEach(
        (name, count) ->
            progress.accept("%s: %d records wait for Kafka's cleaner".formatted(name, count)));
    List<TopicPartition> partitions = new ArrayList<>();
    for (ErasureScan scan : work) {
      if (left.containsKey(scan.name())) {
        scan.matches()
            .keySet()
            .forEach(partition -> partitions.add(new TopicPartition(scan.name(), partition)));
      }
    }
    // The cleaner goes no further than the first open transaction.
    for (WaitingRecords waiting : WaitingRecords.in(settings, partitions)) {
      progress.accept(waiting.text(Instant.now()));
    }
  }

  /** The records that are still there, by topic. */
  private Map<String, Long> left(List<ErasureScan> work, long end) throws IOException {
    Map<String, Long> left = new TreeMap<>();
    for (ErasureScan scan : work) {
      for (List<Match> found : scan.matches().values()) {
        long count = left(scan.name(), found, end);
        if (count > 0) {
          left.merge(scan.name(), count, Long::sum);
        }
      }
    }
    return left;
  }

  private long left(String topic, List<Match> found, long end) {
    TopicPartition partition = new TopicPartition(topic, found.getFirst().partition());
    Set<Long> offsets = new HashSet<>();
    found.forEach(match -> offsets.add(match.offset()));
    long last = found.getLast().offset();
    consumer.assign(List.of(partition));
    long begin = consumer.beginningOffsets(List.of(partition)).get(partition);
    consumer.seek(partition, Math.max(begin, found.getFirst().offset()));
    long count = 0;
    while (consumer.position(partition) <= last) {
      if (System.nanoTime() > end) {
        // A broker that does not answer: nobody knows.
        return found.size();
      }
      for (ConsumerRecord<byte[], byte[]> record : consumer.poll(POLL).records(partition)) {
        if (offsets.contains(record.offset())) {
          count++;
        }
        if (count > 0 && record.offset() == found.getFirst().offset()) {
          // The cleaner has not come yet: no need to read on.
          return found.size();
        }
      }
    }
    return count;
  }

  private boolean isReplicated(List<String> names) throws IOException {
    Map<String, TopicDescription> described =
        calls.get(calls.admin().describeTopics(names).allTopicNames(), "describe its topics");
    return described.values().stream()
        .flatMap(topic -> topic.partitions().stream())
        .anyMatch(partition -> partition.replicas().size() > 1);
  }

  @Override
  public void close() {
    consumer.close();
    calls.close();
  }
}
