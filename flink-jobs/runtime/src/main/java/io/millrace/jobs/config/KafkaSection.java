package io.millrace.jobs.config;

import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.LostTransactions;
import java.time.Duration;
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
        MemorySize maxRecordSize,
    @Option(
            value = "stop",
            help =
                "What a job does when Kafka has lost a transaction that the job's state counts as"
                    + " written. `stop`: the job fails and says how to go on; `accept`: it counts"
                    + " and logs the loss.")
        LostTransactions lostTransactions)
    implements ConfigSection {

  private static final Duration LEAST_TIMEOUT = Duration.ofMinutes(1);

  /** Kafka's message without the value, which may be a secret. */
  private static final Pattern REASON = Pattern.compile("(?s).* for configuration [^:]*: (.*)");

  public KafkaSection {
    properties = Map.copyOf(properties);
    var _ = settings(bootstrapServers, topicPrefix, properties, maxRecordSize, lostTransactions);
  }

  private static KafkaSettings settings(
      String bootstrapServers,
      String prefix,
      Map<String, String> properties,
      MemorySize size,
      LostTransactions lost) {
    return new KafkaSettings(
        bootstrapServers, prefix, properties, Math.toIntExact(size.getBytes()), lost);
  }

  /** The connection that these options describe, with the default formats of records. */
  public KafkaSettings settings() {
    return settings(bootstrapServers, topicPrefix, properties, maxRecordSize, lostTransactions);
  }

  /** Checks the properties with the definitions of Kafka's three clients. */
  @Override
  public void check(MillraceConfig config) {
    Map<String, String> problems = new TreeMap<>();
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
          problems.putIfAbsent(
              name,
              "kafka.properties.%s has a value that Kafka refuses%s"
                  .formatted(name, reason.matches() ? ": " + reason.group(1) : ""));
        }
      }
    }
    if (!problems.isEmpty()) {
      throw new ConfigException(List.copyOf(problems.values()));
    }
    checkTransactionTimeout(config.flink().checkpointInterval());
    String buffer = References.resolve(properties).get(ProducerConfig.BUFFER_MEMORY_CONFIG);
    if (buffer != null && Long.parseLong(buffer.strip()) < maxRecordSize.getBytes()) {
      throw new IllegalArgumentException(
          "kafka.properties.buffer.memory is %s; it must be at least kafka.max-record-size = %d"
              .formatted(buffer, maxRecordSize.getBytes()));
    }
  }

  /**
   * A transaction is open for an interval, for the Flink checkpoint after it, and for a restart if
   * the job fails just then.
   */
  private void checkTransactionTimeout(Duration interval) {
    Duration timeout = Duration.ofMillis(settings().transactionTimeoutMillis());
    Duration least = interval.multipliedBy(2);
    least = least.compareTo(LEAST_TIMEOUT) < 0 ? LEAST_TIMEOUT : least;
    if (timeout.compareTo(least) < 0) {
      throw new IllegalArgumentException(
          "kafka.properties.transaction.timeout.ms is %d%s; with flink.checkpoint-interval = %d ms it must be at least %d (twice the interval, and a minute), or Kafka aborts the records of a job before their Flink checkpoint completes; shorten the interval, or raise the timeout up to the broker's transaction.max.timeout.ms"
              .formatted(
                  timeout.toMillis(),
                  properties.containsKey(ProducerConfig.TRANSACTION_TIMEOUT_CONFIG)
                      ? ""
                      : " (default)",
                  interval.toMillis(),
                  least.toMillis()));
    }
  }

  /** Names the client properties only; their values may be secrets. */
  @Override
  public String toString() {
    return "KafkaSection[bootstrapServers=%s, topicPrefix=%s, properties=%s, maxRecordSize=%s, lostTransactions=%s]"
        .formatted(
            bootstrapServers,
            topicPrefix,
            new TreeSet<>(properties.keySet()),
            maxRecordSize,
            lostTransactions);
  }
}
