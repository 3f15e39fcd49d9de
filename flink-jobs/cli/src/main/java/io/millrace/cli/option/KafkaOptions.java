package io.millrace.cli.option;

import io.millrace.connectors.kafka.KafkaSettings;
import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.flink.configuration.MemorySize;
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

  @Option(
      names = "--max-record-size",
      paramLabel = "SIZE",
      defaultValue = "16mb",
      description =
          "Largest record, as kafka.max-record-size of the jobs (default: ${DEFAULT-VALUE}).")
  private String maxRecordSize;

  /**
   * The settings of a client.
   *
   * @throws UserException naming the option that is wrong
   */
  public KafkaSettings settings() {
    return settings(bootstrapServers, topicPrefix, properties, maxRecordSize);
  }

  /**
   * Settings from options of the same names.
   *
   * @throws UserException naming the option that is wrong
   */
  public static KafkaSettings settings(
      String bootstrapServers, String topicPrefix, Map<String, String> properties) {
    return settings(bootstrapServers, topicPrefix, properties, "16mb");
  }

  private static KafkaSettings settings(
      String bootstrapServers, String topicPrefix, Map<String, String> properties, String size) {
    int bytes;
    try {
      bytes = Math.toIntExact(MemorySize.parseBytes(size));
    } catch (IllegalArgumentException | ArithmeticException e) {
      throw new UserException(
          "--max-record-size must be a size from 64kb to 64mb, not '%s'".formatted(size));
    }
    try {
      return new KafkaSettings(bootstrapServers, topicPrefix, properties, bytes);
    } catch (IllegalArgumentException e) {
      throw new UserException(
          e.getMessage()
              .replaceFirst("^kafka\\.properties\\.", "--kafka-property ")
              .replaceFirst("^kafka\\.", "--"));
    }
  }
}
