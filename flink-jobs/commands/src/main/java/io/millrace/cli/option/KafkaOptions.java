package io.millrace.cli.option;

import io.millrace.connectors.kafka.KafkaSettings;
import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import org.apache.flink.configuration.MemorySize;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Options of every command that talks to Kafka. */
public final class KafkaOptions {

  private static final String DEFAULT_SERVERS = "localhost:9092";

  @Option(
      names = "--bootstrap-servers",
      paramLabel = "HOST:PORT",
      description =
          "Addresses of the Kafka brokers, with commas (default: "
              + DEFAULT_SERVERS
              + ", or the Kafka of --cluster).")
  private Optional<String> bootstrapServers;

  @Option(
      names = "--cluster",
      paramLabel = "DIR",
      description = "Directory of a cluster started with 'millrace cluster', to use its Kafka.")
  private Optional<Path> cluster;

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

  @Mixin private RegistryOptions registry;

  /**
   * The settings of a client.
   *
   * @throws UserException naming the option that is wrong
   */
  public KafkaSettings settings() throws IOException {
    return settings(Map.of());
  }

  /**
   * The settings of a writer.
   *
   * @param output the names of formats by topic
   * @throws UserException naming the option that is wrong
   */
  public KafkaSettings settings(Map<String, String> output) throws IOException {
    return settings(servers(), topicPrefix, properties, maxRecordSize).with(registry.wire(output));
  }

  /**
   * Checks that a broker listens, after all other options were checked.
   *
   * @param settings of these options
   */
  public void requireListener(KafkaSettings settings) {
    KafkaPorts.requireListener(settings, "--bootstrap-servers");
  }

  private String servers() throws IOException {
    if (cluster.isEmpty()) {
      return bootstrapServers.orElse(DEFAULT_SERVERS);
    }
    if (bootstrapServers.isPresent()) {
      throw new UserException("give --bootstrap-servers or --cluster, not both");
    }
    return ClusterOptions.kafkaOf(cluster.get());
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
