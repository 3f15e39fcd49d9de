package io.millrace.cli.option;

import io.millrace.connectors.kafka.KafkaSettings;
import java.util.LinkedHashMap;
import java.util.Map;
import picocli.CommandLine.Option;

/** Options of every command that talks to Kafka. */
public final class KafkaOptions {

  @Option(
      names = "--bootstrap-servers",
      defaultValue = "localhost:9092",
      paramLabel = "HOST:PORT",
      description = "Addresses of the Kafka brokers, with commas (default: ${DEFAULT-VALUE}).")
  private String bootstrapServers;

  @Option(
      names = "--topic-prefix",
      defaultValue = "millrace.",
      description = "Prefix of every topic name (default: ${DEFAULT-VALUE}).")
  private String topicPrefix;

  @Option(
      names = "--kafka-property",
      paramLabel = "KEY=VALUE",
      description = "Kafka client property, such as security.protocol=SSL; may be repeated.")
  private Map<String, String> properties = new LinkedHashMap<>();

  /**
   * The settings of a client.
   *
   * @throws UserException naming the option that is wrong
   */
  public KafkaSettings settings() {
    return settings(bootstrapServers, topicPrefix, properties);
  }

  /**
   * Settings from options of the same names.
   *
   * @throws UserException naming the option that is wrong
   */
  public static KafkaSettings settings(
      String bootstrapServers, String topicPrefix, Map<String, String> properties) {
    try {
      return new KafkaSettings(bootstrapServers, topicPrefix, properties);
    } catch (IllegalArgumentException e) {
      throw new UserException(
          e.getMessage()
              .replaceFirst("^kafka\\.properties\\.", "--kafka-property ")
              .replaceFirst("^kafka\\.", "--"));
    }
  }
}
