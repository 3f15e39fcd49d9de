package io.millrace.connectors.flink.decode;

import io.millrace.connectors.flink.source.Received;
import io.millrace.schemas.RefusedRecordException;
import io.millrace.schemas.Topic;
import io.millrace.schemas.UnusableRecordException;
import io.millrace.schemas.Validation;
import io.millrace.schemas.Withdrawal;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import org.apache.avro.specific.SpecificRecordBase;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.runtime.state.FunctionInitializationContext;
import org.apache.flink.runtime.state.FunctionSnapshotContext;
import org.apache.flink.streaming.api.checkpoint.CheckpointedFunction;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.functions.ProcessFunction;
import org.apache.flink.util.Collector;

/**
 * Decodes and validates records. Accepted records go to the main output, refused ones to {@link
 * DeadLetters#TAG}.
 *
 * <p>The metrics {@code records_accepted}, {@code records_truncated} and, by reason, {@code
 * dead_letters} count since the task began. The accumulators {@code topics/prompts/accepted},
 * {@code topics/prompts/truncated} and {@code topics/prompts/dead-letters/invalid} are state and
 * count since the job began. So do {@code records_deleted_unread} and {@code
 * topics/prompts/deleted-unread} for records that Kafka deleted before the job read them, and
 * {@code topics/prompts/tombstones} for records without a value.
 *
 * @param <T> the record type
 */
public final class Decode<T extends SpecificRecordBase> extends ProcessFunction<Received, T>
    implements CheckpointedFunction {
  private static final long serialVersionUID = 1L;

  private final Topic<T> topic;
  private final BodyFormat<T> format;
  private final RecordCheck<T> check;
  private final DeadLetters deadLetters;
  private final DeletedRecords deleted;

  private transient MetricGroup metrics;
  private transient Counter accepted;
  private transient Counter truncated;
  private transient Counter tombstones;
  private transient Map<String, Counter> refused;
  private transient Totals totals;

  /** A decoder of a topic's records. It also counts the records that Kafka deleted unread. */
  public static <T extends SpecificRecordBase> Decode<T> ofTopic(
      Topic<T> topic, BodyFormat<T> format, RecordCheck<T> check, DeadLetters deadLetters) {
    return new Decode<>(
        topic, format, check, deadLetters, new DeletedRecords(deadLetters.kafka(), topic));
  }

  /** A decoder of the lines of a file. */
  public static <T extends SpecificRecordBase> Decode<T> ofFile(
      Topic<T> topic, BodyFormat<T> format, RecordCheck<T> check, DeadLetters deadLetters) {
    return new Decode<>(topic, format, check, deadLetters, null);
  }

  /**
   * @param topic the topic under which records are counted
   * @param format decodes the records
   * @param check the job's own rule, applied to valid records
   * @param deadLetters makes the dead letters
   * @param deleted finds records that were deleted unread; null for a file
   */
  private Decode(
      Topic<T> topic,
      BodyFormat<T> format,
      RecordCheck<T> check,
      DeadLetters deadLetters,
      DeletedRecords deleted) {
    this.deleted = deleted;
    this.topic = topic;
    this.format = format;
    this.check = check;
    this.deadLetters = deadLetters;
  }

  /** Whether {@link #withdrawals} may have records. */
  public boolean withdraws() {
    return deleted != null && Tombstones.withdrawIn(topic);
  }

  /** The withdrawals that tombstones of the topic are. */
  public static DataStream<Withdrawal> withdrawals(SingleOutputStreamOperator<?> decoded) {
    return decoded.getSideOutput(Tombstones.TAG);
  }

  /** Makes the dead letters of this operator. */
  public DeadLetters deadLetters() {
    return deadLetters;
  }

  @Override
  public void initializeState(FunctionInitializationContext context) throws Exception {
    totals = Totals.restored(getRuntimeContext(), context.getOperatorStateStore(), topic);
    totals.add(Totals.ACCEPTED, 0);
    if (deleted != null) {
      totals.add(Totals.DELETED_UNREAD, 0);
      Counter unread =
          getRuntimeContext()
              .getMetricGroup()
              .addGroup("topic", topic.name())
              .counter("records_deleted_unread");
      deleted.open(
          context,
          getRuntimeContext().getTaskInfo().getIndexOfThisSubtask(),
          getRuntimeContext().getTaskInfo().getNumberOfParallelSubtasks(),
          count -> {
            unread.inc(count);
            totals.add(Totals.DELETED_UNREAD, count);
          });
    }
  }

  @Override
  public void snapshotState(FunctionSnapshotContext context) throws Exception {
    totals.snapshot();
    if (deleted != null) {
      deleted.snapshot();
    }
  }

  @Override
  public void open(OpenContext context) throws Exception {
    format.open();
    metrics = getRuntimeContext().getMetricGroup().addGroup("topic", topic.name());
    accepted = metrics.counter("records_accepted");
    truncated = metrics.counter("records_truncated");
    if (withdraws()) {
      tombstones = metrics.counter("tombstones");
    }
    refused = new HashMap<>();
    check.open();
  }

  @Override
  public void close() {
    check.close();
    if (deleted != null) {
      deleted.close();
    }
  }

  @Override
  @SuppressWarnings("ReferenceEquality") // A check that shortens nothing returns the same record.
  public void processElement(Received received, Context context, Collector<T> out) {
    if (deleted != null) {
      deleted.received(received);
    }
    Optional<Withdrawal> withdrawal =
        withdraws() ? Tombstones.withdrawal(topic, received) : Optional.empty();
    if (withdrawal.isPresent()) {
      tombstones.inc();
      totals.add(Totals.TOMBSTONES, 1);
      context.output(Tombstones.TAG, withdrawal.get());
      return;
    }
    if (deleted != null && !withdraws() && received.value() == null) {
      // The record of this key was erased: nothing to use, and nothing to mend.
      totals.add(Totals.TOMBSTONES, 1);
      return;
    }
    T found;
    T record;
    try {
      found = Validation.require(format.decode(received));
      requireOwnKey(received, found);
      record = check.shorten(found);
      check.check(record);
    } catch (UnusableRecordException e) {
      if (format.isRepeat(received)) {
        return;
      }
      refused.computeIfAbsent(e.reason(), this::counter).inc();
      totals.add(Totals.DEAD_LETTERS + e.reason(), 1);
      context.output(DeadLetters.TAG, deadLetters.of(received, e));
      return;
    }
    if (!format.isRepeat(received)) {
      accepted.inc();
      totals.add(Totals.ACCEPTED, 1);
      if (record != found) {
        truncated.inc();
        totals.add(Totals.TRUNCATED, 1);
      }
    }
    out.collect(record);
  }

  /**
   * Kafka keeps the order of a key's records and compacts by key, and this job drops repetitions by
   * id. A record without a key has no such guarantee, and is accepted.
   */
  private void requireOwnKey(Received received, T record) {
    byte[] expected = topic.keyOf(record).getBytes(StandardCharsets.UTF_8);
    if (received.key() != null && !Arrays.equals(received.key(), expected)) {
      throw new RefusedRecordException(
          "wrong-key",
          "the key is \"%s\"; it must be the record's id, \"%s\", or absent"
              .formatted(new String(received.key(), StandardCharsets.UTF_8), topic.keyOf(record)));
    }
  }

  private Counter counter(String reason) {
    return metrics.addGroup("reason", reason).counter("dead_letters");
  }
}
