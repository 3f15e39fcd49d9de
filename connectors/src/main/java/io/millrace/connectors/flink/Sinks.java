package io.millrace.connectors.flink;

import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.schemas.Topic;
import java.util.Map;
import java.util.Properties;
import org.apache.avro.specific.SpecificRecordBase;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.sink.KafkaSinkBuilder;
import org.apache.flink.connector.kafka.sink.TransactionNamingStrategy;

/** Kafka topics as Flink sinks. */
public final class Sinks {
  /** The default of a broker's {@code transaction.max.timeout.ms}; a longer one is refused. */
  private static final int TRANSACTION_TIMEOUT_MILLIS = 15 * 60 * 1000;

  private static final String TRANSACTION_TIMEOUT = "transaction.timeout.ms";

  private Sinks() {}

  /**
   * A sink whose records become visible, once each, with the Flink checkpoint that covers them. A
   * job that stands still for longer than {@code transaction.timeout.ms} (15 minutes) between its
   * last Flink checkpoint and its restart loses what it had not committed; the client property
   * shortens it.
   *
   * @param transactionalIdPrefix distinguishes this sink from every other of the cluster, and stays
   *     the same when the job restarts
   */
  public static <T extends SpecificRecordBase> KafkaSink<T> exactlyOnce(
      KafkaSettings settings, Topic<T> topic, String transactionalIdPrefix) {
    String timeout =
        settings
            .client()
            .getOrDefault(TRANSACTION_TIMEOUT, Integer.toString(TRANSACTION_TIMEOUT_MILLIS));
    return builder(settings, topic, Map.of(TRANSACTION_TIMEOUT, timeout))
        .setDeliveryGuarantee(DeliveryGuarantee.EXACTLY_ONCE)
        .setTransactionalIdPrefix(transactionalIdPrefix)
        // Asks the broker which transactions are open instead of probing every possible name.
        .setTransactionNamingStrategy(TransactionNamingStrategy.POOLING)
        .build();
  }

  /** A sink whose records are visible at once and may be repeated after a failure. */
  public static <T extends SpecificRecordBase> KafkaSink<T> atLeastOnce(
      KafkaSettings settings, Topic<T> topic) {
    return builder(settings, topic, Map.of())
        .setDeliveryGuarantee(DeliveryGuarantee.AT_LEAST_ONCE)
        .build();
  }

  private static <T extends SpecificRecordBase> KafkaSinkBuilder<T> builder(
      KafkaSettings settings, Topic<T> topic, Map<String, String> own) {
    Properties properties = settings.properties(own);
    return KafkaSink.<T>builder()
        .setKafkaProducerConfig(properties)
        .setBootstrapServers(settings.bootstrapServers())
        .setRecordSerializer(new RecordSerializer<>(settings, topic));
  }
}
