package io.millrace.connectors.flink;

import io.millrace.connectors.flink.Sources.Bound;
import io.millrace.connectors.flink.Sources.Start;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.schemas.Demonstration;
import io.millrace.schemas.Topic;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import org.apache.avro.specific.SpecificRecordBase;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.formats.avro.typeutils.AvroTypeInfo;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/** Topics as streams of valid records, and back. */
public final class Streams {
  /** A partition that is silent for this long says nothing of the time. */
  private static final Duration IDLE = Duration.ofMinutes(1);

  private Streams() {}

  /**
   * The valid records of a topic, from where the job's group last stood; all others go to the topic
   * dead-letters. Dead letters are written at least once: after a failure one may stand there
   * twice, under the same key.
   *
   * @param job the job's name; the consumer group is the topic prefix followed by it
   */
  public static <T extends SpecificRecordBase> DataStream<T> read(
      StreamExecutionEnvironment env,
      KafkaSettings settings,
      Topic<T> topic,
      String job,
      Bound bound) {
    return read(env, settings, topic, job, Start.COMMITTED, bound, record -> {});
  }

  /**
   * The valid records of a topic that also pass {@code check}.
   *
   * @see #read(StreamExecutionEnvironment, KafkaSettings, Topic, String, Bound)
   */
  public static <T extends SpecificRecordBase> DataStream<T> read(
      StreamExecutionEnvironment env,
      KafkaSettings settings,
      Topic<T> topic,
      String job,
      Start start,
      Bound bound,
      RecordCheck<T> check) {
    String groupId = settings.topicPrefix() + job;
    DataStream<Received> received =
        env.fromSource(
                Sources.received(settings, topic, groupId, start, bound),
                // For what is forgotten after a time, such as ids that were seen: the partition
                // that is furthest behind sets it, and one without records does not hold it up.
                WatermarkStrategy.<Received>forMonotonousTimestamps().withIdleness(IDLE),
                topic.name())
            .uid("read-" + topic.name());
    return decode(
        received,
        settings,
        topic,
        new Decode<>(topic, job, new TopicFormat<>(topic, List.of()), check, Clock.systemUTC()));
  }

  /**
   * The demonstrations of a JSON Lines file that also pass {@code check}, in the file's order and
   * then, for further passes, in orders of their own; all other lines go to the topic dead-letters.
   * Where in which pass the job stands is Flink state.
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
        settings,
        topic,
        new Decode<>(topic, job, new LineFormat(), check, Clock.systemUTC()));
  }

  private static <T extends SpecificRecordBase> DataStream<T> decode(
      DataStream<Received> received, KafkaSettings settings, Topic<T> topic, Decode<T> decode) {
    SingleOutputStreamOperator<T> records =
        received
            .process(decode)
            .returns(new AvroTypeInfo<>(topic.type()))
            .name("decode " + topic.name())
            .uid("decode-" + topic.name());
    records
        .getSideOutput(DeadLetters.TAG)
        .sinkTo(Sinks.atLeastOnce(settings, Topic.DEAD_LETTERS))
        .name("dead letters of " + topic.name())
        .uid("dead-letters-" + topic.name());
    return records;
  }

  /**
   * Writes a stream to its topic, exactly once; with the parallelism of what makes the records, so
   * that what follows a trainer stays with it when the rest of a job is rescaled.
   */
  public static <T extends SpecificRecordBase> void write(
      DataStream<T> records, KafkaSettings settings, Topic<T> topic, String job) {
    String transactionalIdPrefix = settings.topicPrefix() + job + "." + topic.name();
    records
        .sinkTo(Sinks.exactlyOnce(settings, topic, transactionalIdPrefix))
        .setParallelism(records.getParallelism())
        .name("write " + topic.name())
        .uid("write-" + topic.name());
  }
}
