package io.millrace.connectors.flink.decode;

import io.millrace.connectors.flink.source.Received;
import io.millrace.schemas.DeadLetter;
import io.millrace.schemas.RefusedRecordException;
import io.millrace.schemas.Topic;
import io.millrace.schemas.wire.RecordEncoder;
import java.util.HashMap;
import java.util.Map;
import org.apache.avro.specific.SpecificRecordBase;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.java.tuple.Tuple3;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.runtime.state.FunctionInitializationContext;
import org.apache.flink.runtime.state.FunctionSnapshotContext;
import org.apache.flink.streaming.api.checkpoint.CheckpointedFunction;
import org.apache.flink.streaming.api.functions.ProcessFunction;
import org.apache.flink.util.Collector;

/**
 * Makes dead letters of records that an operator refused after they were decoded: each with its
 * value encoded again, without partition and offset. The metric {@code dead_letters} and the
 * accumulator {@code topics/TOPIC/dead-letters/REASON} count them, as {@link Decode} does.
 *
 * @param <T> the record type
 */
public final class Refuse<T extends SpecificRecordBase>
    extends ProcessFunction<Tuple3<T, String, String>, DeadLetter> implements CheckpointedFunction {
  private static final long serialVersionUID = 1L;

  /** The partition and offset, which the record no longer has. */
  private static final int UNKNOWN = -1;

  private final Topic<T> topic;
  private final DeadLetters letters;
  private transient RecordEncoder<T> format;
  private transient MetricGroup metrics;
  private transient Map<String, Counter> refused;
  private transient Totals totals;

  public Refuse(Topic<T> topic, DeadLetters letters) {
    this.topic = topic;
    this.letters = letters;
  }

  @Override
  public void initializeState(FunctionInitializationContext context) throws Exception {
    totals = Totals.restored(getRuntimeContext(), context.getOperatorStateStore(), topic);
  }

  @Override
  public void snapshotState(FunctionSnapshotContext context) throws Exception {
    totals.snapshot();
  }

  @Override
  public void open(OpenContext context) {
    format = letters.kafka().encoder(topic);
    metrics = getRuntimeContext().getMetricGroup().addGroup("topic", topic.name());
    refused = new HashMap<>();
  }

  @Override
  public void processElement(
      Tuple3<T, String, String> element, Context context, Collector<DeadLetter> out) {
    T record = element.f0;
    String reason = element.f1;
    refused
        .computeIfAbsent(reason, one -> metrics.addGroup("reason", one).counter("dead_letters"))
        .inc();
    totals.add(Totals.DEAD_LETTERS + reason, 1);
    Received received =
        new Received(
            letters.kafka().nameOf(topic),
            UNKNOWN,
            UNKNOWN,
            letters.clock().millis(),
            topic.keyBytes(record),
            format.encode(record));
    out.collect(letters.of(received, new RefusedRecordException(reason, element.f2)));
  }
}
