package io.millrace.connectors.flink.sink;

import io.millrace.connectors.flink.decode.DeadLetters;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.schemas.Topic;
import java.util.Map;
import java.util.Properties;
import org.apache.avro.specific.SpecificRecordBase;
import org.apache.flink.api.connector.sink2.Sink;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.sink.KafkaSinkBuilder;
import org.apache.flink.connector.kafka.sink.TransactionNamingStrategy;

/** Kafka topics as Flink sinks. */
public final class Sinks {
  private static final String TRANSACTION_TIMEOUT = "transaction.timeout.ms";

  private Sinks() {}

  /**
   * A sink whose records become visible, once each, when the Flink checkpoint that covers them
   * completes.
   *
   * <p>The transaction timeout is 15 minutes, or the client property {@code
   * transaction.timeout.ms}. A job that is down for longer loses the records of its last Flink
   * checkpoint that it had not committed yet. It finds that out when it resumes, see {@link
   * io.millrace.connectors.kafka.LostTransactions}.
   *
   * @param transactionalIdPrefix unique to this sink in the cluster, and the same after a restart
   * @param deadLetters for records that are too large; names the cluster
   */
  public static <T extends SpecificRecordBase> Sink<T> exactlyOnce(
      Topic<T> topic, String transactionalIdPrefix, DeadLetters deadLetters) {
    KafkaSettings settings = deadLetters.kafka();
    String timeout = Long.toString(settings.transactionTimeoutMillis());
    KafkaSink<T> sink =
        builder(topic, deadLetters, Map.of(TRANSACTION_TIMEOUT, timeout))
            .setDeliveryGuarantee(DeliveryGuarantee.EXACTLY_ONCE)
            .setTransactionalIdPrefix(transactionalIdPrefix)
            // Lists the open transactions at the broker instead of probing every possible name.
            .setTransactionNamingStrategy(TransactionNamingStrategy.POOLING)
            .build();
    return new ExactlyOnceSink<>(sink, settings, settings.nameOf(topic));
  }

  /** A sink whose records are visible at once; a failure may repeat some. */
  public static <T extends SpecificRecordBase> KafkaSink<T> atLeastOnce(
      Topic<T> topic, DeadLetters deadLetters) {
    return builder(topic, deadLetters, Map.of())
        .setDeliveryGuarantee(DeliveryGuarantee.AT_LEAST_ONCE)
        .build();
  }

  private static <T extends SpecificRecordBase> KafkaSinkBuilder<T> builder(
      Topic<T> topic, DeadLetters deadLetters, Map<String, String> own) {
    KafkaSettings settings = deadLetters.kafka();
    Properties properties = settings.producerProperties(own);
    return KafkaSink.<T>builder()
        .setKafkaProducerConfig(properties)
        .setBootstrapServers(settings.bootstrapServers())
        .setRecordSerializer(new RecordSerializer<>(topic, deadLetters));
  }
}
