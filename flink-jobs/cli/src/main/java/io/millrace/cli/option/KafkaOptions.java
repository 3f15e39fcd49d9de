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
      description = "Kafka brokers, separated by commas (default: ${DEFAULT-VALUE}).")
  private String bootstrapServers;

  @Option(
      names = "--topic-prefix",
      defaultValue = "millrace.",
      description = "Prefix of every topic's name (default: ${DEFAULT-VALUE}).")
  private String topicPrefix;

  @Option(
      names = "--kafka-property",
      paramLabel = "KEY=VALUE",
      description = "Kafka client property, such as security.protocol=SSL; may be repeated.")
  private Map<String, String> properties = new LinkedHashMap<>();

  public KafkaSettings settings() {
    return new KafkaSettings(bootstrapServers, topicPrefix, properties);
  }
}
