package io.millrace.connectors.flink;

import io.millrace.connectors.flink.decode.DeadLetters;
import io.millrace.connectors.flink.decode.Decode;
import io.millrace.connectors.flink.decode.RecordCheck;
import io.millrace.connectors.flink.decode.TopicFormat;
import io.millrace.connectors.flink.source.HoldableSource;
import io.millrace.connectors.flink.source.Received;
import io.millrace.connectors.flink.source.Sources;
import io.millrace.connectors.flink.source.Sources.Bound;
import io.millrace.connectors.flink.source.Sources.Start;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.schemas.Topic;
import java.time.Clock;
import java.time.Duration;
import java.util.Objects;
import org.apache.avro.specific.SpecificRecordBase;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.connector.source.Source;
import org.apache.flink.api.connector.source.SourceSplit;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/**
 * Reads a topic as a stream of valid records. All other records go to the topic dead-letters.
 *
 * <pre>{@code
 * DataStream<Prompt> prompts =
 *     TopicInput.of(Topic.PROMPTS).kafka(kafka).job("rollout").bound(Bound.CURRENT_END).read(env);
 * }</pre>
 *
 * <p>Dead letters are written at least once: after a failure, one may be in the topic twice, under
 * the same key.
 *
 * @param <T> the record type
 */
public final class TopicInput<T extends SpecificRecordBase> {
  /** A partition without records for this long no longer holds back the watermark. */
  private static final Duration IDLE = Duration.ofMinutes(1);

  private final Topic<T> topic;
  private KafkaSettings kafka;
  private String job;
  private Start start = Start.COMMITTED;
  private Bound bound = Bound.UNBOUNDED;
  private RecordCheck<T> check = record -> {};
  private boolean holdable;

  private TopicInput(Topic<T> topic) {
    this.topic = topic;
  }

  public static <T extends SpecificRecordBase> TopicInput<T> of(Topic<T> topic) {
    return new TopicInput<>(topic);
  }

  /** The cluster that has the topic and gets the dead letters. Required. */
  public TopicInput<T> kafka(KafkaSettings settings) {
    this.kafka = Objects.requireNonNull(settings, "kafka");
    return this;
  }

  /** The job's name. The consumer group is the topic prefix followed by it. Required. */
  public TopicInput<T> job(String name) {
    this.job = Objects.requireNonNull(name, "job");
    return this;
  }

  /**
   * The position at which a job without a Flink checkpoint begins. Default: {@link
   * Start#COMMITTED}.
   */
  public TopicInput<T> start(Start position) {
    this.start = Objects.requireNonNull(position, "start");
    return this;
  }

  /** Whether the stream ends. Default: {@link Bound#UNBOUNDED}. */
  public TopicInput<T> bound(Bound end) {
    this.bound = Objects.requireNonNull(end, "bound");
    return this;
  }

  /** The job's own rule for valid records. Default: it accepts every valid record. */
  public TopicInput<T> check(RecordCheck<T> rule) {
    this.check = Objects.requireNonNull(rule, "check");
    return this;
  }

  /** Lets an operator of the job hold the source, see {@link HoldableSource}. Default: no. */
  public TopicInput<T> holdable() {
    this.holdable = true;
    return this;
  }

  /** The uid of the source that reads a topic. */
  public static String sourceUid(Topic<?> topic) {
    return "read-" + topic.name();
  }

  /**
   * Adds the source and the decoder to a job.
   *
   * @throws IllegalStateException when a required property is not set, with its name
   */
  public DataStream<T> read(StreamExecutionEnvironment env) {
    requireSet(kafka, "kafka");
    requireSet(job, "job");
    String groupId = kafka.topicPrefix() + job;
    DataStream<Received> received =
        env.fromSource(
                source(Sources.received(kafka, topic, groupId, start, bound)),
                // The watermark expires state, such as the ids that Deduplicate has seen. It is the
                // time of the partition that is furthest behind.
                WatermarkStrategy.<Received>forMonotonousTimestamps().withIdleness(IDLE),
                topic.name())
            .uid(sourceUid(topic));
    return Streams.decode(
        received,
        topic,
        Decode.ofTopic(
            topic,
            new TopicFormat<>(topic, kafka),
            check,
            new DeadLetters(job, kafka, Clock.systemUTC())));
  }

  private <S extends SourceSplit, C> Source<Received, ?, ?> source(Source<Received, S, C> source) {
    return holdable ? HoldableSource.of(source, TypeInformation.of(Received.class)) : source;
  }

  private static void requireSet(Object value, String property) {
    if (value == null) {
      throw new IllegalStateException(
          "%s is not set; call %s(…) before read(…)".formatted(property, property));
    }
  }
}
