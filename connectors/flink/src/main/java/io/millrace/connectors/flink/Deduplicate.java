package io.millrace.connectors.flink;

import io.millrace.schemas.Provenance;
import io.millrace.schemas.Topic;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import org.apache.avro.specific.SpecificRecordBase;
import org.apache.flink.api.common.accumulators.LongCounter;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.formats.avro.typeutils.AvroTypeInfo;
import org.apache.flink.metrics.Counter;
import org.apache.flink.runtime.state.FunctionInitializationContext;
import org.apache.flink.runtime.state.FunctionSnapshotContext;
import org.apache.flink.streaming.api.checkpoint.CheckpointedFunction;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;
import org.apache.flink.util.Preconditions;

/**
 * Emits the first record of an id and drops its repetitions within a window. Two counters count the
 * dropped records: the metric {@code duplicates} since the task began, and the accumulator {@code
 * topics/judgments/duplicates} since the job began.
 *
 * <p>The window is in the time of the Kafka records, not in this machine's time. So a record that
 * was sent again after an hour is a duplicate even if the job stood still for a week. And reading a
 * topic a second time drops the same records. An id's state is deleted when the watermark, the time
 * of the partition that is furthest behind, has passed the window.
 *
 * <p>A record with a higher revision than those of its id before is no duplicate: it replaces them.
 *
 * <p>With parallelism 1 the records keep their order. With a higher parallelism only the records of
 * one id do.
 *
 * @param <T> the record type
 */
public final class Deduplicate<T extends SpecificRecordBase>
    extends KeyedProcessFunction<String, T, T> implements CheckpointedFunction {
  private static final long serialVersionUID = 1L;

  private final Topic<T> topic;
  private final long windowMillis;

  private transient ValueState<Long> first;

  /** The highest revision of the id; null for 0. */
  private transient ValueState<Integer> revision;

  private transient Counter dropped;
  private transient LongCounter total;
  private transient ListState<Long> savedTotal;

  Deduplicate(Topic<T> topic, Duration window) {
    this.topic = topic;
    this.windowMillis = window.toMillis();
  }

  /**
   * Removes the duplicates of a stream.
   *
   * @param topic the topic of the records; a record's key is its id
   * @param window the time after the first record of an id; zero turns the removal off
   * @param parallelism the operator's parallelism; use 1 when the order matters
   */
  public static <T extends SpecificRecordBase> DataStream<T> of(
      DataStream<T> records, Topic<T> topic, Duration window, int parallelism) {
    Preconditions.checkArgument(
        !window.isNegative(),
        "the window for duplicates of %s is %s; it must not be negative",
        topic,
        window);
    if (window.isZero()) {
      return records;
    }
    return records
        .keyBy(topic::keyOf, Types.STRING)
        .process(new Deduplicate<>(topic, window))
        .returns(new AvroTypeInfo<>(topic.type()))
        .name("deduplicate " + topic.name())
        .uid("deduplicate-" + topic.name())
        .setParallelism(parallelism);
  }

  @Override
  public void initializeState(FunctionInitializationContext context) throws Exception {
    total = new LongCounter();
    savedTotal =
        context
            .getOperatorStateStore()
            .getListState(new ListStateDescriptor<>("duplicates", Types.LONG));
    for (long saved : savedTotal.get()) {
      total.add(saved);
    }
    getRuntimeContext().addAccumulator("topics/" + topic.name() + "/duplicates", total);
    first = context.getKeyedStateStore().getState(new ValueStateDescriptor<>("first", Types.LONG));
    revision =
        context.getKeyedStateStore().getState(new ValueStateDescriptor<>("revision", Types.INT));
  }

  @Override
  public void snapshotState(FunctionSnapshotContext context) throws Exception {
    savedTotal.update(List.of(total.getLocalValuePrimitive()));
  }

  @Override
  public void open(OpenContext context) {
    dropped =
        getRuntimeContext().getMetricGroup().addGroup("topic", topic.name()).counter("duplicates");
  }

  @Override
  public void processElement(T record, Context context, Collector<T> out) throws Exception {
    long time = context.timestamp();
    Long seen = first.value();
    int next = Provenance.revision(record);
    if (seen != null && time - seen <= windowMillis && next <= seenRevision()) {
      dropped.inc();
      total.add(1L);
      return;
    }
    first.update(time);
    if (next > 0) {
      revision.update(next);
    }
    context.timerService().registerEventTimeTimer(end(time));
    out.collect(record);
  }

  private int seenRevision() throws IOException {
    Integer seen = revision.value();
    return seen == null ? 0 : seen;
  }

  /** The first millisecond at which a record of the id is not a duplicate. */
  private long end(long time) {
    return time + windowMillis + 1;
  }

  @Override
  public void onTimer(long timestamp, OnTimerContext context, Collector<T> out) throws Exception {
    Long seen = first.value();
    if (seen != null && end(seen) <= timestamp) {
      first.clear();
      revision.clear();
    }
  }
}
