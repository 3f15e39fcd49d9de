package io.millrace.connectors.kafka;

import io.millrace.schemas.DeadLetter;
import io.millrace.schemas.InvalidRecordException;
import io.millrace.schemas.Validation;
import io.millrace.schemas.wire.SingleObject;
import io.millrace.schemas.wire.WireFormatException;
import java.nio.ByteBuffer;
import java.time.InstantSource;
import org.apache.avro.specific.SpecificRecordBase;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.formats.avro.typeutils.AvroTypeInfo;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.streaming.api.functions.ProcessFunction;
import org.apache.flink.util.Collector;
import org.apache.flink.util.OutputTag;

/**
 * Bytes to valid records. What cannot be used becomes a dead letter with its bytes, origin and
 * reason, is counted, and stops nothing.
 */
public final class Decode<T extends SpecificRecordBase> extends ProcessFunction<Received, T> {

  private static final long serialVersionUID = 1;

  /** Where dead letters come out. */
  public static final OutputTag<DeadLetter> DEAD_LETTERS =
      new OutputTag<>("dead-letters", new AvroTypeInfo<>(DeadLetter.class));

  private final Class<T> type;
  private final String job;
  private final Check<T> check;
  private transient SingleObject<T> codec;
  private transient Counter accepted;
  private transient MetricGroup refused;

  public Decode(Class<T> type, String job, Check<T> check) {
    this.type = type;
    this.job = job;
    this.check = check;
  }

  @Override
  public void open(OpenContext context) throws Exception {
    codec = SingleObject.of(type);
    accepted = getRuntimeContext().getMetricGroup().counter("records_accepted");
    refused = getRuntimeContext().getMetricGroup().addGroup("dead_letters");
    check.open();
  }

  @Override
  public void close() {
    check.close();
  }

  @Override
  public void processElement(Received received, Context context, Collector<T> out) {
    T record;
    try {
      record = codec.decode(received.value);
      Validation.check(record);
      check.check(record);
    } catch (WireFormatException e) {
      refuse(received, context, "undecodable", e);
      return;
    } catch (InvalidRecordException e) {
      refuse(received, context, e.reason(), e);
      return;
    }
    accepted.inc();
    out.collect(record);
  }

  private void refuse(Received received, Context context, String reason, RuntimeException e) {
    refused.addGroup("reason", reason).counter("count").inc();
    context.output(
        DEAD_LETTERS,
        DeadLetter.newBuilder()
            .setTopic(received.topic)
            .setPartition(received.partition)
            .setOffset(received.offset)
            .setKey(ByteBuffer.wrap(received.key))
            .setValue(ByteBuffer.wrap(received.value))
            .setJob(job)
            .setReason(reason)
            .setMessage(e.getMessage())
            .setException(e.getCause() == null ? null : e.getCause().getClass().getName())
            .setTime(InstantSource.system().instant())
            .build());
  }
}
