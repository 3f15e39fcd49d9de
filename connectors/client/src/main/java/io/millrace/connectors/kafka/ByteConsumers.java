package io.millrace.connectors.kafka;

import java.util.HashMap;
import java.util.Map;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** Consumers of bytes that commit nothing by themselves and create no topic. */
final class ByteConsumers {
  private ByteConsumers() {}

  /**
   * A consumer that begins at the first record of a partition where its position is gone.
   *
   * @param properties further properties of the consumer
   */
  static KafkaConsumer<byte[], byte[]> open(
      KafkaSettings settings, IsolationLevel isolation, Map<String, String> properties) {
    Map<String, String> all = new HashMap<>(properties);
    all.put("isolation.level", isolation.toString());
    all.put("enable.auto.commit", "false");
    all.put("auto.offset.reset", "earliest");
    all.put("allow.auto.create.topics", "false");
    return settings.client(
        made -> new KafkaConsumer<>(made, new ByteArrayDeserializer(), new ByteArrayDeserializer()),
        all);
  }
}
