package io.millrace.jobs.config;

import io.millrace.connectors.kafka.KafkaSettings;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.flink.configuration.MemorySize;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.common.config.ConfigValue;

/** Where the topics are. */
public record KafkaSection(
    @Option(
            value = "localhost:9092",
            help = "Addresses of the Kafka brokers, each as host:port, separated by commas.",
            required = true)
        String bootstrapServers,
    @Option(value = "millrace.", help = "Prefix of every topic name.") String topicPrefix,
    @Option(
            value = "",
            help =
                "Kafka client properties, such as `security.protocol`. A value may refer to a"
                    + " secret: `${env:NAME}` reads an environment variable and `${file:PATH}` a"
                    + " file, in each process that connects to Kafka.")
        Map<String, String> properties,
    @Option(
            value = "16mb",
            help =
                "Largest record. Producers and new topics have this limit; a job does not start"
                    + " while a topic has a lower one (`millrace topics --alter` raises it). A"
                    + " larger record becomes a dead letter with its size and SHA-256.",
            min = "64kb",
            max = "64mb")
        MemorySize maxRecordSize)
    implements ConfigSection {

  private static final Pattern PORT = Pattern.compile(":(\\d+)");

  private static final int MAX_PORT = 65_535;

  /** Kafka's message without the value, which may be a secret. */
  private static final Pattern REASON = Pattern.compile("(?s).* for configuration [^:]*: (.*)");

  public KafkaSection {
    properties = Map.copyOf(properties);
    var _ = settings(bootstrapServers, topicPrefix, properties, maxRecordSize);
    Matcher ports = PORT.matcher(bootstrapServers);
    while (ports.find()) {
      int port = Integer.parseInt(ports.group(1));
      if (port < 1 || port > MAX_PORT) {
        throw new IllegalArgumentException(
            "bootstrap-servers must have ports from 1 to %d, not '%s'"
                .formatted(MAX_PORT, bootstrapServers));
      }
    }
  }

  private static KafkaSettings settings(
      String bootstrapServers, String prefix, Map<String, String> properties, MemorySize size) {
    return new KafkaSettings(
        bootstrapServers, prefix, properties, Math.toIntExact(size.getBytes()));
  }

  /** The connection that these options describe. */
  public KafkaSettings settings() {
    return settings(bootstrapServers, topicPrefix, properties, maxRecordSize);
  }

  /** Checks the properties with the definitions of Kafka's three clients. */
  @Override
  public void check(MillraceConfig config) {
    for (ConfigDef client :
        List.of(
            AdminClientConfig.configDef(),
            ConsumerConfig.configDef(),
            ProducerConfig.configDef())) {
      Map<String, ConfigValue> checked = client.validateAll(References.resolve(properties));
      for (String name : new TreeMap<>(properties).keySet()) {
        ConfigValue value = checked.get(name);
        if (value != null && !value.errorMessages().isEmpty()) {
          Matcher reason = REASON.matcher(value.errorMessages().getFirst());
          throw new IllegalArgumentException(
              "kafka.properties.%s has a value that Kafka refuses%s"
                  .formatted(name, reason.matches() ? ": " + reason.group(1) : ""));
        }
      }
    }
    String buffer = properties.get(ProducerConfig.BUFFER_MEMORY_CONFIG);
    if (buffer != null && Long.parseLong(buffer.strip()) < maxRecordSize.getBytes()) {
      throw new IllegalArgumentException(
          "kafka.properties.buffer.memory is %s; it must be at least kafka.max-record-size = %d"
              .formatted(buffer, maxRecordSize.getBytes()));
    }
  }

  /** Names the client properties only; their values may be secrets. */
  @Override
  public String toString() {
    return "KafkaSection[bootstrapServers=%s, topicPrefix=%s, properties=%s, maxRecordSize=%s]"
        .formatted(
            bootstrapServers, topicPrefix, new TreeSet<>(properties.keySet()), maxRecordSize);
  }
}
