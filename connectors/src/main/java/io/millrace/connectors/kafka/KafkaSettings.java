package io.millrace.connectors.kafka;

import java.io.Serializable;
import java.util.Map;
import java.util.Properties;

/**
 * Where the topics are.
 *
 * @param bootstrapServers host:port, separated by commas
 * @param topicPrefix of every topic's name
 * @param properties of every Kafka client, such as {@code security.protocol}
 */
public record KafkaSettings(
    String bootstrapServers, String topicPrefix, Map<String, String> properties)
    implements Serializable {

  public KafkaSettings {
    if (bootstrapServers.isBlank()) {
      throw new IllegalArgumentException("bootstrapServers must name a broker as host:port");
    }
    properties = Map.copyOf(properties);
  }

  /** Client properties with the brokers. */
  public Properties clientProperties() {
    Properties all = new Properties();
    all.putAll(properties);
    all.setProperty("bootstrap.servers", bootstrapServers);
    return all;
  }
}
