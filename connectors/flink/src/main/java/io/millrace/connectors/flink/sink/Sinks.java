package io.millrace.connectors.flink.sink;

import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.schemas.Topic;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.flink.api.connector.sink2.Sink;
import org.apache.flink.api.java.tuple.Tuple3;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.sink.KafkaSinkBuilder;
import org.apache.flink.connector.kafka.sink.TransactionNamingStrategy;

/** Kafka topics as Flink sinks of {@linkplain Encode encoded} records. */
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
   * @param topic of the records, beside dead letters for records that are too large
   */
  public static Sink<Tuple3<String, byte[], byte[]>> exactlyOnce(
      Topic<?> topic, String transactionalIdPrefix, KafkaSettings settings) {
    String timeout = Long.toString(settings.transactionTimeoutMillis());
    KafkaSink<Tuple3<String, byte[], byte[]>> sink =
        builder(topic, settings, Map.of(TRANSACTION_TIMEOUT, timeout))
            .setDeliveryGuarantee(DeliveryGuarantee.EXACTLY_ONCE)
            .setTransactionalIdPrefix(transactionalIdPrefix)
            // Lists the open transactions at the broker instead of probing every possible name.
            .setTransactionNamingStrategy(TransactionNamingStrategy.POOLING)
            .build();
    return new ExactlyOnceSink<>(sink, settings, topic);
  }

  /** A sink whose records are visible at once; a failure may repeat some. */
  public static KafkaSink<Tuple3<String, byte[], byte[]>> atLeastOnce(
      Topic<?> topic, KafkaSettings settings) {
    return builder(topic, settings, Map.of())
        .setDeliveryGuarantee(DeliveryGuarantee.AT_LEAST_ONCE)
        .build();
  }

  private static KafkaSinkBuilder<Tuple3<String, byte[], byte[]>> builder(
      Topic<?> topic, KafkaSettings settings, Map<String, String> own) {
    Properties properties = settings.producerProperties(own);
    return KafkaSink.<Tuple3<String, byte[], byte[]>>builder()
        .setKafkaProducerConfig(properties)
        .setBootstrapServers(settings.bootstrapServers())
        .setRecordSerializer(
            new EncodedSerializer(
                List.of(settings.nameOf(topic), settings.nameOf(Topic.DEAD_LETTERS))));
  }
}
