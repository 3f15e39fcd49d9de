package io.millrace.connectors.kafka;

import io.millrace.schemas.DeadLetter;
import io.millrace.schemas.Topic;
import java.util.Locale;
import org.apache.avro.specific.SpecificRecordBase;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.sink.TransactionNamingStrategy;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.KafkaSourceBuilder;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.formats.avro.typeutils.AvroTypeInfo;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/**
 * The topics of one job as streams: sources that decode, validate and divert what cannot be used,
 * and exactly-once sinks. Every operator gets a stable uid.
 */
public final class KafkaStreams {

  /** Below the broker's default limit of 15 minutes. */
  private static final String TRANSACTION_TIMEOUT_MS = "600000";

  private final StreamExecutionEnvironment environment;
  private final KafkaSettings settings;
  private final String job;
  private final boolean bounded;

  /**
   * Streams of a job.
   *
   * @param job its name, which consumer groups and transactions are named after
   * @param bounded whether its input ends where the topics end now
   */
  public KafkaStreams(
      StreamExecutionEnvironment environment, KafkaSettings settings, String job, boolean bounded) {
    this.environment = environment;
    this.settings = settings;
    this.job = job;
    this.bounded = bounded;
  }

  /** The valid records of a topic from its beginning. */
  public <T extends SpecificRecordBase> DataStream<T> read(Class<T> type, Check<T> check) {
    Topic topic = Topic.of(type);
    KafkaSourceBuilder<Received> source =
        KafkaSource.<Received>builder()
            .setBootstrapServers(settings.bootstrapServers())
            .setTopics(topic.name(settings.topicPrefix()))
            .setGroupId("millrace-" + job)
            .setStartingOffsets(OffsetsInitializer.earliest())
            .setDeserializer(new ReceivedDeserializer())
            .setProperties(settings.clientProperties())
            .setProperty("isolation.level", "read_committed")
            .setProperty("partition.discovery.interval.ms", "-1")
            .setProperty("max.partition.fetch.bytes", "16777216");
    if (bounded) {
      source.setBounded(OffsetsInitializer.latest());
    }
    SingleOutputStreamOperator<T> records =
        environment
            .fromSource(
                source.build(), WatermarkStrategy.noWatermarks(), topic.shortName() + " source")
            .uid(topic.shortName() + "-source")
            .process(new Decode<>(type, job, check))
            .returns(new AvroTypeInfo<>(type))
            .name("validate " + topic.shortName())
            .uid(topic.shortName() + "-validate");
    write(
        records.getSideOutput(Decode.DEAD_LETTERS),
        DeadLetter.class,
        topic.shortName() + "-dead-letters");
    return records;
  }

  /** Writes records to the topic of their type, exactly once. */
  public <T extends SpecificRecordBase> void write(DataStream<T> records, Class<T> type) {
    write(records, type, Topic.of(type).shortName());
  }

  private <T extends SpecificRecordBase> void write(
      DataStream<T> records, Class<T> type, String name) {
    KafkaSink<T> sink =
        KafkaSink.<T>builder()
            .setBootstrapServers(settings.bootstrapServers())
            .setKafkaProducerConfig(settings.clientProperties())
            .setProperty("transaction.timeout.ms", TRANSACTION_TIMEOUT_MS)
            .setProperty("max.request.size", "16777216")
            .setRecordSerializer(new AvroKafkaSerializer<>(type, settings.topicPrefix()))
            .setDeliveryGuarantee(DeliveryGuarantee.EXACTLY_ONCE)
            .setTransactionalIdPrefix(
                "%smillrace-%s-%s"
                    .formatted(settings.topicPrefix(), job, name)
                    .toLowerCase(Locale.ROOT))
            .setTransactionNamingStrategy(TransactionNamingStrategy.POOLING)
            .build();
    records.sinkTo(sink).name(name + " sink").uid(name + "-sink").setParallelism(1);
  }
}
