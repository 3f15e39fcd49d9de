package io.millrace.connectors.flink.sink;

import io.millrace.connectors.flink.decode.DeadLetters;
import io.millrace.connectors.flink.decode.Totals;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.schemas.DeadLetter;
import io.millrace.schemas.Topic;
import io.millrace.schemas.wire.RecordEncoder;
import org.apache.avro.specific.SpecificRecordBase;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple3;
import org.apache.flink.metrics.Counter;
import org.apache.flink.runtime.state.FunctionInitializationContext;
import org.apache.flink.runtime.state.FunctionSnapshotContext;
import org.apache.flink.streaming.api.checkpoint.CheckpointedFunction;
import org.apache.flink.streaming.api.functions.ProcessFunction;
import org.apache.flink.util.Collector;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Encodes records for Kafka: topic, key, and the value in the topic's format. A record that is
 * larger than {@link KafkaSettings#maxRecordBytes} would stop the job again after each restart. In
 * its place goes a dead letter, in the same transaction. The metric {@code records_too_large} and
 * the accumulator {@code topics/rollouts/too-large} count it.
 *
 * @param <T> the record type
 */
public final class Encode<T extends SpecificRecordBase>
    extends ProcessFunction<T, Tuple3<String, byte[], byte[]>> implements CheckpointedFunction {
  private static final long serialVersionUID = 1L;

  private static final Logger LOG = LoggerFactory.getLogger(Encode.class);

  /** Topic, key and value. */
  public static final TypeInformation<Tuple3<String, byte[], byte[]>> TYPE =
      Types.TUPLE(
          Types.STRING,
          PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO,
          PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO);

  private final Topic<T> topic;
  private final DeadLetters deadLetters;
  private final String name;
  private transient RecordEncoder<T> format;
  private transient RecordEncoder<DeadLetter> letters;
  private transient Counter tooLarge;
  private transient Totals totals;

  public Encode(Topic<T> topic, DeadLetters deadLetters) {
    this.topic = topic;
    this.deadLetters = deadLetters;
    this.name = deadLetters.kafka().nameOf(topic);
  }

  @Override
  public void initializeState(FunctionInitializationContext context) throws Exception {
    totals = Totals.restored(getRuntimeContext(), context.getOperatorStateStore(), topic);
    // Dead letters are cut to fit, and withdrawals have only short texts.
    if (!topic.equals(Topic.DEAD_LETTERS) && !topic.equals(Topic.WITHDRAWALS)) {
      totals.add(Totals.TOO_LARGE, 0);
    }
  }

  @Override
  public void snapshotState(FunctionSnapshotContext context) throws Exception {
    totals.snapshot();
  }

  @Override
  public void open(OpenContext context) {
    format = deadLetters.kafka().encoder(topic);
    letters = deadLetters.kafka().encoder(Topic.DEAD_LETTERS);
    tooLarge =
        getRuntimeContext()
            .getMetricGroup()
            .addGroup("topic", topic.name())
            .counter("records_too_large");
  }

  @Override
  public void processElement(
      T record, Context context, Collector<Tuple3<String, byte[], byte[]>> out) {
    byte[] key = topic.keyBytes(record);
    byte[] value = format.encode(record);
    KafkaSettings kafka = deadLetters.kafka();
    if (kafka.fits(key, value)) {
      out.collect(Tuple3.of(name, key, value));
      return;
    }
    tooLarge.inc();
    totals.add(Totals.TOO_LARGE, 1);
    LOG.error(
        "Wrote a dead letter in place of a record of {}: {}; raise kafka.max-record-size and the"
            + " topics' limit (millrace topics --alter)",
        name,
        kafka.tooLarge(topic, key, value));
    DeadLetter letter = deadLetters.tooLarge(topic, key, value);
    out.collect(
        Tuple3.of(
            kafka.nameOf(Topic.DEAD_LETTERS),
            Topic.DEAD_LETTERS.keyBytes(letter),
            letters.encode(letter)));
  }
}
