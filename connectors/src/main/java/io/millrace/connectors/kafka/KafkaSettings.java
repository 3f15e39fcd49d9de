package io.millrace.connectors.kafka;

import io.millrace.schemas.Topic;
import java.io.Serializable;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Function;
import org.apache.kafka.common.KafkaException;

/**
 * How to reach a Kafka cluster.
 *
 * @param bootstrapServers host:port, several separated by commas
 * @param topicPrefix what every topic's name starts with, such as {@code millrace.}
 * @param client further properties of Kafka's clients, such as those of security
 */
public record KafkaSettings(String bootstrapServers, String topicPrefix, Map<String, String> client)
    implements Serializable {
  /** What delivery guarantees rest on is not for the user to change. */
  private static final List<String> OWN =
      List.of(
          "bootstrap.servers",
          "group.id",
          "isolation.level",
          "enable.auto.commit",
          "auto.offset.reset",
          "enable.idempotence",
          "acks",
          "transactional.id",
          "key.serializer",
          "value.serializer",
          "key.deserializer",
          "value.deserializer");

  public KafkaSettings {
    if (!bootstrapServers.matches("[^\\s,]+:\\d{1,5}(\\s*,\\s*[^\\s,]+:\\d{1,5})*")) {
      throw new IllegalArgumentException(
          "kafka.bootstrap-servers is \"%s\"; it must be host:port, several separated by commas"
              .formatted(bootstrapServers));
    }
    if (!topicPrefix.matches("[a-zA-Z0-9._-]{0,200}")) {
      throw new IllegalArgumentException(
          "kafka.topic-prefix is \"%s\"; topic names hold letters, digits, '.', '_' and '-' only"
              .formatted(topicPrefix));
    }
    for (String name : client.keySet()) {
      if (OWN.contains(name)) {
        throw new IllegalArgumentException(
            "kafka.properties.%s cannot be set: Millrace's guarantees depend on its own value"
                .formatted(name));
      }
    }
    client = Map.copyOf(client);
  }

  /** Settings with the default prefix and no further properties. */
  public static KafkaSettings of(String bootstrapServers) {
    return new KafkaSettings(bootstrapServers, Topic.DEFAULT_PREFIX, Map.of());
  }

  /** The name of a topic in this cluster. */
  public String nameOf(Topic<?> topic) {
    return topic.name(topicPrefix);
  }

  /** The properties of a client, with {@code own} on top. */
  public Properties properties(Map<String, String> own) {
    Properties properties = new Properties();
    new TreeMap<>(client).forEach(properties::setProperty);
    properties.setProperty("bootstrap.servers", bootstrapServers);
    own.forEach(properties::setProperty);
    return properties;
  }

  /**
   * A client of Kafka's, made from such properties.
   *
   * @throws IllegalArgumentException when Kafka refuses a property or knows no such host
   */
  public <C> C client(Function<Properties, C> constructor, Map<String, String> own) {
    try {
      return constructor.apply(properties(own));
    } catch (KafkaException e) {
      Throwable cause = e;
      while (cause.getCause() != null) {
        cause = cause.getCause();
      }
      throw new IllegalArgumentException(
          "no Kafka client for %s: %s; mend kafka.bootstrap-servers or kafka.properties"
              .formatted(bootstrapServers, cause.getMessage()),
          e);
    }
  }

  /** Names the client properties without their values, among which may be passwords. */
  @Override
  public String toString() {
    return "KafkaSettings[bootstrapServers=%s, topicPrefix=%s, client=%s]"
        .formatted(bootstrapServers, topicPrefix, new TreeSet<>(client.keySet()));
  }
}
