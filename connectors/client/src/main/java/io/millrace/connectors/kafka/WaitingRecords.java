package io.millrace.connectors.kafka;

import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;

/**
 * Records of one partition that readers do not see yet, because a transaction before them is open.
 *
 * @param records the number of records from the transaction's first on; those of aborted
 *     transactions count too
 * @param transaction the open transaction that readers wait for; empty when it ended just now
 */
public record WaitingRecords(
    TopicPartition partition, long records, Optional<Transactions.Open> transaction) {
  private static final Duration POLL = Duration.ofMillis(100);

  /** After this long the number of offsets stands for the number of records. */
  private static final Duration COUNTING = Duration.ofSeconds(5);

  /** The waiting records of existing partitions; none for a partition whose records are visible. */
  public static List<WaitingRecords> in(
      KafkaSettings settings, Collection<TopicPartition> partitions) throws IOException {
    Map<TopicPartition, Long> visible;
    Map<TopicPartition, Long> ends;
    try (AdminCalls calls = new AdminCalls(settings)) {
      visible = calls.offsets(partitions, OffsetSpec.latest(), IsolationLevel.READ_COMMITTED);
      ends = calls.offsets(partitions, OffsetSpec.latest(), IsolationLevel.READ_UNCOMMITTED);
    }
    List<TopicPartition> held =
        partitions.stream().filter(one -> visible.get(one) < ends.get(one)).toList();
    if (held.isEmpty()) {
      return List.of();
    }
    List<Transactions.Open> open;
    try (Transactions transactions = new Transactions(settings)) {
      open = transactions.open(held);
    }
    List<WaitingRecords> waiting = new ArrayList<>();
    for (TopicPartition partition : held) {
      waiting.add(
          new WaitingRecords(
              partition,
              count(settings, partition, visible.get(partition), ends.get(partition)),
              open.stream()
                  .filter(one -> one.partition().equals(partition))
                  .min(Comparator.comparingLong(Transactions.Open::firstOffset))));
    }
    return waiting;
  }

  /** The number of records, without transaction markers. */
  private static long count(KafkaSettings settings, TopicPartition partition, long from, long end)
      throws IOException {
    long count = 0;
    try (KafkaConsumer<byte[], byte[]> consumer =
        ByteConsumers.open(
            settings, IsolationLevel.READ_UNCOMMITTED, Map.of("default.api.timeout.ms", "20000"))) {
      consumer.assign(List.of(partition));
      consumer.seek(partition, from);
      long deadline = System.nanoTime() + COUNTING.toNanos();
      while (consumer.position(partition) < end) {
        if (System.nanoTime() > deadline) {
          return end - from;
        }
        count +=
            consumer.poll(POLL).records(partition).stream()
                .filter(record -> record.offset() < end)
                .count();
      }
      return count;
    } catch (KafkaException e) {
      throw settings.failure("read " + partition, e);
    }
  }

  /** How many records wait, since when, for what, and what to do. */
  public String text(Instant now) {
    String start = "%s: %d records wait behind ".formatted(partition, records);
    if (transaction.isEmpty()) {
      return start + "a transaction that has just ended";
    }
    Transactions.Open open = transaction.get();
    String written =
        "last written to %d s ago"
            .formatted(Math.max(0, Duration.between(open.lastWrite(), now).toSeconds()));
    return open.transactionalId()
        .map(
            id ->
                "%sthe open transaction %s, %s; readers see them when the Flink checkpoint of its job completes, or when Kafka aborts it after its timeout (15 minutes unless set)"
                    .formatted(start, id, written))
        .orElseGet(
            () ->
                "%sa transaction of producer %d that no coordinator knows, %s; nobody will end it; abort it with: millrace topics --abort-hanging"
                    .formatted(start, open.producerId(), written));
  }
}
