package io.millrace.jobs.config;

import java.util.Map;
import java.util.TreeSet;

/** Where the topics are. */
public record KafkaSection(
    @Option(
            value = "localhost:9092",
            help = "Kafka brokers, host:port, separated by commas.",
            required = true)
        String bootstrapServers,
    @Option(value = "millrace.", help = "Prefix of every topic's name.") String topicPrefix,
    @Option(
            value = "",
            help =
                "Kafka client properties passed through, such as security.protocol. In a value,"
                    + " `${env:NAME}` stands for an environment variable and `${file:PATH}` for a"
                    + " file's content, so that no secret need be here; both are read where the"
                    + " command runs.")
        Map<String, String> properties)
    implements ConfigSection {

  public KafkaSection {
    properties = Map.copyOf(properties);
  }

  /** Names the client properties only: there may be secrets among their values. */
  @Override
  public String toString() {
    return "KafkaSection[bootstrapServers=%s, topicPrefix=%s, properties=%s]"
        .formatted(bootstrapServers, topicPrefix, new TreeSet<>(properties.keySet()));
  }
}
