package io.millrace.jobs.config;

import java.io.Serializable;
import java.util.Map;

/** Where the topics are. */
public record KafkaSection(
    @Option(value = "localhost:9092", help = "Kafka brokers, host:port, separated by commas.")
        String bootstrapServers,
    @Option(value = "millrace.", help = "Prefix of every topic's name.") String topicPrefix,
    @Option(value = "", help = "Kafka client properties passed through, such as security.protocol.")
        Map<String, String> properties)
    implements Serializable {

  public KafkaSection {
    Require.present("bootstrap-servers", bootstrapServers);
    properties = Map.copyOf(properties);
  }
}
