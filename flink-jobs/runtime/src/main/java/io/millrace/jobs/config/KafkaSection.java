package io.millrace.jobs.config;

import io.millrace.connectors.kafka.KafkaSettings;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
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
                    + " file, on the machine where the command runs.")
        Map<String, String> properties)
    implements ConfigSection {

  private static final Pattern PORT = Pattern.compile(":(\\d+)");

  private static final int MAX_PORT = 65_535;

  /** Kafka's message without the value, which may be a secret. */
  private static final Pattern REASON = Pattern.compile("(?s).* for configuration [^:]*: (.*)");

  public KafkaSection {
    properties = Map.copyOf(properties);
    var _ = new KafkaSettings(bootstrapServers, topicPrefix, properties);
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

  /** Checks the properties with the definitions of Kafka's three clients. */
  @Override
  public void check(MillraceConfig config) {
    for (ConfigDef client :
        List.of(
            AdminClientConfig.configDef(),
            ConsumerConfig.configDef(),
            ProducerConfig.configDef())) {
      Map<String, ConfigValue> checked = client.validateAll(properties);
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
  }

  /** Names the client properties only; their values may be secrets. */
  @Override
  public String toString() {
    return "KafkaSection[bootstrapServers=%s, topicPrefix=%s, properties=%s]"
        .formatted(bootstrapServers, topicPrefix, new TreeSet<>(properties.keySet()));
  }
}
