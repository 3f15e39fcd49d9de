package io.millrace.connectors.flink;

import io.millrace.connectors.flink.decode.DeadLetters;
import io.millrace.connectors.flink.decode.Decode;
import io.millrace.connectors.flink.decode.LineFormat;
import io.millrace.connectors.flink.decode.RecordCheck;
import io.millrace.connectors.flink.decode.Refuse;
import io.millrace.connectors.flink.sink.Encode;
import io.millrace.connectors.flink.sink.Sinks;
import io.millrace.connectors.flink.source.DemonstrationFile;
import io.millrace.connectors.flink.source.Received;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.schemas.DeadLetter;
import io.millrace.schemas.Demonstration;
import io.millrace.schemas.Topic;
import java.time.Clock;
import org.apache.avro.specific.SpecificRecordBase;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.java.tuple.Tuple3;
import org.apache.flink.formats.avro.typeutils.AvroTypeInfo;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/** Reads files as streams of valid records, and writes streams to topics. */
public final class Streams {
  private Streams() {}

  /**
   * The demonstrations of a JSON Lines file that also pass {@code check}. All other lines go to the
   * topic dead-letters. The first pass keeps the file's order; each further pass has its own. The
   * position in the file is Flink state.
   */
  public static DataStream<Demonstration> readLines(
      StreamExecutionEnvironment env,
      KafkaSettings settings,
      DemonstrationFile file,
      String job,
      RecordCheck<Demonstration> check) {
    Topic<Demonstration> topic = Topic.DEMONSTRATIONS;
    DataStream<Received> received =
        env.fromSource(file.source(), WatermarkStrategy.noWatermarks(), file.name())
            .setParallelism(1)
            .uid("read-file-" + topic.name());
    return decode(
        received,
        topic,
        Decode.ofFile(
            topic, new LineFormat(), check, new DeadLetters(job, settings, Clock.systemUTC())));
  }

  /**
   * Writes the records that an operator refused to the topic dead-letters.
   *
   * @param refused each with the reason, for the count, and a message
   * @param operator its uid
   */
  public static <T extends SpecificRecordBase> void refuse(
      DataStream<Tuple3<T, String, String>> refused,
      Topic<T> topic,
      String operator,
      DeadLetters letters) {
    String name = topic.name() + "-of-" + operator;
    writeDeadLetters(
        refused
            .process(new Refuse<>(topic, letters))
            .returns(new AvroTypeInfo<>(DeadLetter.class))
            .name("refuse " + name)
            .uid("refuse-" + name),
        name,
        letters);
  }

  private static void writeDeadLetters(
      DataStream<DeadLetter> records, String of, DeadLetters letters) {
    records
        .process(new Encode<>(Topic.DEAD_LETTERS, letters))
        .returns(Encode.TYPE)
        .name("encode dead letters of " + of)
        .uid("encode-dead-letters-" + of)
        .sinkTo(Sinks.atLeastOnce(Topic.DEAD_LETTERS, letters.kafka()))
        .name("dead letters of " + of)
        .uid("dead-letters-" + of);
  }

  /** Decodes a stream and writes its dead letters. */
  static <T extends SpecificRecordBase> DataStream<T> decode(
      DataStream<Received> received, Topic<T> topic, Decode<T> decode) {
    SingleOutputStreamOperator<T> records =
        received
            .process(decode)
            .returns(new AvroTypeInfo<>(topic.type()))
            .name("decode " + topic.name())
            .uid("decode-" + topic.name());
    DeadLetters letters = decode.deadLetters();
    writeDeadLetters(records.getSideOutput(DeadLetters.TAG), topic.name(), letters);
    if (decode.withdraws()) {
      Decode.withdrawals(records)
          .process(new Encode<>(Topic.WITHDRAWALS, letters))
          .returns(Encode.TYPE)
          .name("encode withdrawals of " + topic.name())
          .uid("encode-withdrawals-" + topic.name())
          // Written twice, it is the same withdrawal.
          .sinkTo(Sinks.atLeastOnce(Topic.WITHDRAWALS, letters.kafka()))
          .name("withdrawals of " + topic.name())
          .uid("withdrawals-" + topic.name());
    }
    return records;
  }

  /**
   * Writes a stream to its topic exactly once. A record that is too large for Kafka becomes a dead
   * letter. The sink has the parallelism of the stream, so it stays with the operator before it
   * when the job is rescaled.
   */
  public static <T extends SpecificRecordBase> void write(
      DataStream<T> records, KafkaSettings settings, Topic<T> topic, String job) {
    String transactionalIdPrefix = settings.topicPrefix() + job + "." + topic.name();
    records
        .process(new Encode<>(topic, new DeadLetters(job, settings, Clock.systemUTC())))
        .returns(Encode.TYPE)
        .setParallelism(records.getParallelism())
        .name("encode " + topic.name())
        .uid("encode-" + topic.name())
        .sinkTo(Sinks.exactlyOnce(topic, transactionalIdPrefix, settings))
        .setParallelism(records.getParallelism())
        .name("write " + topic.name())
        .uid("write-" + topic.name());
  }
}
