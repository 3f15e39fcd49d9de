package io.millrace.connectors.kafka;

import io.millrace.connectors.registry.RegistryException;
import io.millrace.connectors.registry.SchemaRegistry;
import io.millrace.connectors.registry.WireSettings;
import io.millrace.schemas.Topic;
import io.millrace.schemas.wire.RecordDecoder;
import io.millrace.schemas.wire.RecordEncoder;
import io.millrace.schemas.wire.SchemaSource;
import io.millrace.schemas.wire.WireFormat;
import java.io.IOException;
import java.io.Serializable;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.avro.Schema;
import org.apache.avro.specific.SpecificRecordBase;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.config.ConfigException;
import org.apache.kafka.common.config.ConfigTransformer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * The connection to a Kafka cluster.
 *
 * @param bootstrapServers host:port, several separated by commas
 * @param topicPrefix the prefix of every topic's name, such as {@code millrace.}
 * @param client further properties of Kafka's clients, such as security settings
 * @param maxRecordBytes the largest record: the limit of producers and of new topics
 * @param lostTransactions what a job does about a transaction that Kafka has lost
 * @param wire the formats of records
 */
public record KafkaSettings(
    String bootstrapServers,
    String topicPrefix,
    Map<String, String> client,
    int maxRecordBytes,
    LostTransactions lostTransactions,
    WireSettings wire)
    implements Serializable {
  /** The default of {@link #maxRecordBytes}: 16 MiB. */
  public static final int DEFAULT_MAX_RECORD_BYTES = 16 << 20;

  /** The smallest {@link #maxRecordBytes}: 64 KiB. */
  public static final int LEAST_MAX_RECORD_BYTES = 64 << 10;

  /** The largest {@link #maxRecordBytes}: 64 MiB. A broker takes requests of 100 MiB by default. */
  public static final int MOST_MAX_RECORD_BYTES = 64 << 20;

  /** The bytes that Kafka adds to key and value, at most. */
  private static final int OVERHEAD_BYTES = 512;

  /** How often a job's sources look for new partitions, in milliseconds. */
  private static final String DISCOVERY = "partition.discovery.interval.ms";

  private static final String TRANSACTION_TIMEOUT = "transaction.timeout.ms";

  /** The broker's default for {@code transaction.max.timeout.ms}; it refuses a longer timeout. */
  private static final long DEFAULT_TRANSACTION_MILLIS = 15 * 60 * 1000;

  private static final int DEFAULT_BUFFER_BYTES = 32 << 20;

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

  private static final Map<String, String> PROVIDERS =
      Map.of(
          "config.providers", "env,file",
          "config.providers.env.class", EnvironmentSecrets.class.getName(),
          "config.providers.file.class", SecretFiles.class.getName());

  /** The port of each address; one in brackets belongs to an IPv6 address. */
  private static final Pattern PORT = Pattern.compile(":(\\d+)(?=\\s*(,|$))");

  private static final int MAX_PORT = 65_535;

  /** The value of a property, which may be a secret, in Kafka's message. */
  private static final Pattern VALUE = Pattern.compile("(?s)^Invalid value .* for configuration ");

  public KafkaSettings {
    if (!bootstrapServers.matches("[^\\s,]+:\\d{1,5}(\\s*,\\s*[^\\s,]+:\\d{1,5})*")) {
      throw new IllegalArgumentException(
          "kafka.bootstrap-servers is \"%s\"; it must be host:port, several separated by commas"
              .formatted(bootstrapServers));
    }
    Matcher ports = PORT.matcher(bootstrapServers);
    while (ports.find()) {
      int port = Integer.parseInt(ports.group(1));
      if (port < 1 || port > MAX_PORT) {
        throw new IllegalArgumentException(
            "kafka.bootstrap-servers must have ports from 1 to %d, not '%s'"
                .formatted(MAX_PORT, bootstrapServers));
      }
    }
    if (!topicPrefix.matches("[a-zA-Z0-9._-]{0,200}")) {
      throw new IllegalArgumentException(
          "kafka.topic-prefix is \"%s\"; it must have at most 200 letters, digits, '.', '_' and '-'"
              .formatted(topicPrefix));
    }
    if (maxRecordBytes < LEAST_MAX_RECORD_BYTES || maxRecordBytes > MOST_MAX_RECORD_BYTES) {
      throw new IllegalArgumentException(
          "kafka.max-record-size is %d bytes; it must be from %d to %d"
              .formatted(maxRecordBytes, LEAST_MAX_RECORD_BYTES, MOST_MAX_RECORD_BYTES));
    }
    if (client.containsKey("max.request.size")) {
      throw new IllegalArgumentException(
          "kafka.properties.max.request.size has an option of its own, on which topics agree; set"
              + " kafka.max-record-size instead");
    }
    String discovery = client.getOrDefault(DISCOVERY, "1");
    if (!discovery.matches("0*[1-9]\\d{0,8}")) {
      throw new IllegalArgumentException(
          "kafka.properties.%s is \"%s\"; it must be a number of milliseconds above 0, because jobs must read partitions that are added"
              .formatted(DISCOVERY, discovery));
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

  /** Settings with the default formats of records. */
  public KafkaSettings(
      String bootstrapServers,
      String topicPrefix,
      Map<String, String> client,
      int maxRecordBytes,
      LostTransactions lostTransactions) {
    this(
        bootstrapServers,
        topicPrefix,
        client,
        maxRecordBytes,
        lostTransactions,
        WireSettings.DEFAULT);
  }

  /** Settings of a job that stops when Kafka has lost a transaction. */
  public KafkaSettings(
      String bootstrapServers, String topicPrefix, Map<String, String> client, int maxRecordBytes) {
    this(bootstrapServers, topicPrefix, client, maxRecordBytes, LostTransactions.STOP);
  }

  /** Settings with the default record size. */
  public KafkaSettings(String bootstrapServers, String topicPrefix, Map<String, String> client) {
    this(bootstrapServers, topicPrefix, client, DEFAULT_MAX_RECORD_BYTES);
  }

  /** Settings with the default prefix and no further properties. */
  public static KafkaSettings of(String bootstrapServers) {
    return new KafkaSettings(bootstrapServers, Topic.DEFAULT_PREFIX, Map.of());
  }

  /** These settings with other formats of records. */
  public KafkaSettings with(WireSettings formats) {
    return new KafkaSettings(
        bootstrapServers, topicPrefix, client, maxRecordBytes, lostTransactions, formats);
  }

  /**
   * These settings for another cluster or prefix.
   *
   * @param servers host:port, several separated by commas
   */
  public KafkaSettings at(String servers, String prefix) {
    return new KafkaSettings(servers, prefix, client, maxRecordBytes, lostTransactions, wire);
  }

  /**
   * Reads the values of a topic, in every format. For one thread.
   *
   * @throws IllegalArgumentException when a property of the schema registry is wrong
   */
  public <T extends SpecificRecordBase> RecordDecoder<T> decoder(Topic<T> topic) {
    return decoder(topic, List.of());
  }

  /** As {@link #decoder(Topic)}, with the schemas of further writers. */
  <T extends SpecificRecordBase> RecordDecoder<T> decoder(
      Topic<T> topic, Collection<Schema> writers) {
    SchemaSource source = wire.registry().isSet() ? registry() : SchemaSource.none();
    return new RecordDecoder<>(topic.type(), writers, source);
  }

  /**
   * Writes the values of a topic, in the format that the settings name. For Confluent's framing,
   * the schema is registered under the topic's name and {@code -value}, if it is not yet.
   *
   * @throws IllegalArgumentException when a property of the schema registry is wrong
   * @throws io.millrace.connectors.registry.RegistryException when the schema registry does not
   *     answer, or refuses the schema
   */
  public <T extends SpecificRecordBase> RecordEncoder<T> encoder(Topic<T> topic) {
    return switch (wire.formatOf(topic)) {
      case SINGLE_OBJECT -> RecordEncoder.singleObject(topic.type());
      case JSON -> RecordEncoder.json();
      case CONFLUENT ->
          RecordEncoder.confluent(
              topic.type(), registry().idOf(nameOf(topic) + "-value", topic.schema()));
    };
  }

  /**
   * Asks the schema registry whether it is there, and registers the schemas of the topics that have
   * Confluent's framing. Without a registry it does nothing.
   *
   * @throws IOException when the registry does not answer, or refuses this client or a schema
   * @throws IllegalArgumentException when a property of the registry is wrong
   */
  public void requireRegistry() throws IOException {
    if (!wire.registry().isSet()) {
      return;
    }
    try {
      SchemaRegistry registry = registry();
      registry.require();
      for (Topic<?> topic : Topic.all()) {
        if (wire.formatOf(topic) == WireFormat.CONFLUENT) {
          int _ = registry.idOf(nameOf(topic) + "-value", topic.schema());
        }
      }
    } catch (RegistryException e) {
      throw e.getCause();
    }
  }

  private SchemaRegistry registry() {
    Map<String, String> properties;
    try (EnvironmentSecrets environment = new EnvironmentSecrets();
        SecretFiles files = new SecretFiles()) {
      properties =
          new ConfigTransformer(Map.of("env", environment, "file", files))
              .transform(wire.registry().properties())
              .data();
    } catch (ConfigException e) {
      throw new IllegalArgumentException(
          "schema.registry.properties: " + e.getMessage().replace("kafka.properties", "they"), e);
    }
    return new SchemaRegistry(wire.registry(), properties);
  }

  /** The name of a topic in this cluster. */
  public String nameOf(Topic<?> topic) {
    return topic.name(topicPrefix);
  }

  /** The properties of a client. Those in {@code own} override the user's. */
  public Properties properties(Map<String, String> own) {
    Properties properties = new Properties();
    new TreeMap<>(client).forEach(properties::setProperty);
    if (client.values().stream().anyMatch(value -> value.contains("${"))) {
      // Each client resolves references to secrets where it runs; Flink state and job graphs hold
      // the references.
      PROVIDERS.forEach(properties::setProperty);
    }
    properties.setProperty("bootstrap.servers", bootstrapServers);
    own.forEach(properties::setProperty);
    return properties;
  }

  /** The properties of a producer. Those in {@code own} override the user's. */
  public Properties producerProperties(Map<String, String> own) {
    Properties properties = properties(own);
    properties.setProperty("max.request.size", Integer.toString(maxRecordBytes));
    properties.putIfAbsent(
        "buffer.memory", Integer.toString(Math.max(DEFAULT_BUFFER_BYTES, 2 * maxRecordBytes)));
    return properties;
  }

  /** A producer of bytes. The properties in {@code own} override the user's. */
  public Producer<byte[], byte[]> byteProducer(Map<String, String> own) {
    return client(
        properties ->
            new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer()),
        producerProperties(own));
  }

  /**
   * How long the transaction of a job may stay open: the client property {@code
   * transaction.timeout.ms}, or 15 minutes.
   */
  public long transactionTimeoutMillis() {
    String timeout = client.get(TRANSACTION_TIMEOUT);
    return timeout == null ? DEFAULT_TRANSACTION_MILLIS : Long.parseLong(timeout.strip());
  }

  /** The most bytes of key and value together. */
  public int maxPayloadBytes() {
    return maxRecordBytes - OVERHEAD_BYTES;
  }

  /** Whether a record is within {@link #maxRecordBytes}. Key and value may be null. */
  public boolean fits(byte[] key, byte[] value) {
    return payload(key, value) <= maxPayloadBytes();
  }

  /** Why a record does not {@linkplain #fits fit}. */
  public String tooLarge(Topic<?> topic, byte[] key, byte[] value) {
    return "the %s has %d bytes with its key; the limit is %d (kafka.max-record-size, --max-record-size)"
        .formatted(topic.type().getSimpleName(), payload(key, value), maxPayloadBytes());
  }

  private static long payload(byte[] key, byte[] value) {
    return (key == null ? 0L : key.length) + (value == null ? 0L : value.length);
  }

  /**
   * Creates a Kafka client from {@link #properties}.
   *
   * @throws IllegalArgumentException when Kafka refuses a property or cannot resolve a host
   */
  public <C> C client(Function<Properties, C> constructor, Map<String, String> own) {
    return client(constructor, properties(own));
  }

  /** Like {@link #client(Function, Map)}, from given properties. */
  <C> C client(Function<Properties, C> constructor, Properties properties) {
    try {
      return constructor.apply(properties);
    } catch (KafkaException e) {
      Throwable cause = e;
      while (cause.getCause() != null) {
        cause = cause.getCause();
      }
      throw new IllegalArgumentException(
          "cannot create a Kafka client for %s: %s; correct kafka.bootstrap-servers or kafka.properties (--bootstrap-servers or --kafka-property)"
              .formatted(
                  bootstrapServers,
                  VALUE
                      .matcher(String.valueOf(cause.getMessage()))
                      .replaceFirst("Invalid value for configuration ")),
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
    return "KafkaSettings[bootstrapServers=%s, topicPrefix=%s, client=%s, maxRecordBytes=%d, wire=%s]"
        .formatted(
            bootstrapServers, topicPrefix, new TreeSet<>(client.keySet()), maxRecordBytes, wire);
  }
}
