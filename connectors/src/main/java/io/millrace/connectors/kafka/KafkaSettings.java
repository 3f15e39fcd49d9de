package io.millrace.connectors.kafka;

import io.millrace.schemas.Topic;
import java.io.IOException;
import java.io.Serializable;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Function;
import org.apache.kafka.common.KafkaException;

/**
 * The connection to a Kafka cluster.
 *
 * @param bootstrapServers host:port, several separated by commas
 * @param topicPrefix the prefix of every topic's name, such as {@code millrace.}
 * @param client further properties of Kafka's clients, such as security settings
 */
public record KafkaSettings(String bootstrapServers, String topicPrefix, Map<String, String> client)
    implements Serializable {
  /** The client properties that users cannot set, because delivery guarantees depend on them. */
  private static final List<String> RESERVED =
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
          "kafka.topic-prefix is \"%s\"; it must have at most 200 letters, digits, '.', '_' and '-'"
              .formatted(topicPrefix));
    }
    for (String name : client.keySet()) {
      if (RESERVED.contains(name)) {
        throw new IllegalArgumentException(
            "kafka.properties.%s cannot be set, because Millrace's delivery guarantees depend on its own value; remove it"
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

  /** The properties of a client. Those in {@code own} override the user's. */
  public Properties properties(Map<String, String> own) {
    Properties properties = new Properties();
    new TreeMap<>(client).forEach(properties::setProperty);
    properties.setProperty("bootstrap.servers", bootstrapServers);
    own.forEach(properties::setProperty);
    return properties;
  }

  /**
   * Creates a Kafka client from {@link #properties}.
   *
   * @throws IllegalArgumentException when Kafka refuses a property or cannot resolve a host
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
          "cannot create a Kafka client for %s: %s; correct kafka.bootstrap-servers or kafka.properties"
              .formatted(bootstrapServers, cause.getMessage()),
          e);
    }
  }

  /**
   * The exception for a failed request to this cluster.
   *
   * @param action completes "Kafka did not …", such as "list its topics"
   */
  public IOException failure(String action, Throwable cause) {
    return new IOException(
        "Kafka at %s (kafka.bootstrap-servers) did not %s: %s"
            .formatted(bootstrapServers, action, cause.getMessage()),
        cause);
  }

  /** Leaves out the values of the client properties, which may be passwords. */
  @Override
  public String toString() {
    return "KafkaSettings[bootstrapServers=%s, topicPrefix=%s, client=%s]"
        .formatted(bootstrapServers, topicPrefix, new TreeSet<>(client.keySet()));
  }
}
