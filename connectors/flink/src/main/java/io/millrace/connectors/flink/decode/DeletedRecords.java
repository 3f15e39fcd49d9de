package io.millrace.connectors.flink.decode;

import io.millrace.connectors.flink.source.Received;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.LogStart;
import io.millrace.schemas.Topic;
import java.io.IOException;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.LongConsumer;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.runtime.state.FunctionInitializationContext;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Finds records that Kafka deleted before a job read them. A source goes on at the first record
 * that is left, in silence.
 *
 * <p>The next offset of each partition is state. Offsets may also be missing for other reasons,
 * such as transaction markers. So a missing offset counts only below the first offset that Kafka
 * still has. For one task.
 */
final class DeletedRecords implements Serializable {
  private static final long serialVersionUID = 1L;

  private static final Logger LOG = LoggerFactory.getLogger(DeletedRecords.class);

  private final KafkaSettings settings;
  private final Topic<?> topic;

  private transient LongConsumer counter;
  private transient LogStart start;
  private transient Map<Integer, Long> next;
  private transient List<Gap> gaps;
  private transient List<Gap> asked;
  private transient ListState<Tuple2<Integer, Long>> saved;

  /** Offsets that did not come, from the first on and below the end. */
  private record Gap(int partition, long first, long end) {}

  DeletedRecords(KafkaSettings settings, Topic<?> topic) {
    this.settings = settings;
    this.topic = topic;
  }

  /**
   * Restores the positions, and counts what was deleted since.
   *
   * @param subtask of {@code parallelism}; each counts for its share of the partitions, since any
   *     may read them
   * @param lost takes numbers of deleted records
   */
  void open(FunctionInitializationContext context, int subtask, int parallelism, LongConsumer lost)
      throws Exception {
    counter = lost;
    start = new LogStart(settings, settings.nameOf(topic));
    next = new HashMap<>();
    gaps = new ArrayList<>();
    asked = new ArrayList<>();
    // Each subtask gets the positions of all.
    saved =
        context
            .getOperatorStateStore()
            .getUnionListState(
                new ListStateDescriptor<>("next-offsets", Types.TUPLE(Types.INT, Types.LONG)));
    for (Tuple2<Integer, Long> position : saved.get()) {
      next.merge(position.f0, position.f1, Math::max);
    }
    if (next.isEmpty()) {
      return;
    }
    Map<Integer, Long> starts;
    try {
      starts = start.now();
    } catch (IOException e) {
      LOG.warn(
          "cannot find out whether records of {} were deleted before they were read", topic, e);
      return;
    }
    for (Map.Entry<Integer, Long> position : next.entrySet()) {
      long first = starts.getOrDefault(position.getKey(), 0L);
      if (first > position.getValue()) {
        if (position.getKey() % parallelism == subtask) {
          count(new Gap(position.getKey(), position.getValue(), first), first);
        }
        position.setValue(first);
      }
    }
  }

  /** Takes note of a record, in the order of its partition. */
  void received(Received record) {
    Long expected = next.put(record.partition(), record.offset() + 1);
    if (expected != null && record.offset() > expected) {
      gaps.add(new Gap(record.partition(), expected, record.offset()));
    }
    if (!asked.isEmpty()) {
      start.answer().ifPresent(this::count);
    }
    // Only an answer from after a gap says what was deleted in it.
    if (asked.isEmpty() && !gaps.isEmpty() && start.ask()) {
      asked = gaps;
      gaps = new ArrayList<>();
    }
  }

  private void count(Map<Integer, Long> starts) {
    asked.forEach(gap -> count(gap, starts.getOrDefault(gap.partition(), 0L)));
    asked = new ArrayList<>();
  }

  private void count(Gap gap, long first) {
    long deleted = Math.min(gap.end(), first) - gap.first();
    if (deleted > 0) {
      counter.accept(deleted);
      LOG.warn(
          "Kafka deleted {} records of {}, partition {}, from offset {} on, before this job read"
              + " them; keep the topic's records longer than a job may stand still (retention.ms)",
          deleted,
          settings.nameOf(topic),
          gap.partition(),
          gap.first());
    }
  }

  void snapshot() throws Exception {
    List<Tuple2<Integer, Long>> positions = new ArrayList<>();
    next.forEach((partition, offset) -> positions.add(Tuple2.of(partition, offset)));
    saved.update(positions);
  }

  /** Counts the gaps that are left. */
  void close() {
    if (start == null) {
      return;
    }
    try {
      asked.addAll(gaps);
      if (!asked.isEmpty()) {
        count(start.now());
      }
    } catch (IOException e) {
      LOG.warn(
          "cannot find out whether records of {} were deleted before they were read", topic, e);
    } finally {
      start.close();
    }
  }
}
