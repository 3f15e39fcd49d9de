package io.millrace.connectors.kafka;

import io.millrace.schemas.Topic;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.config.TopicConfig;
import org.apache.kafka.common.errors.AuthorizationException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Creates and describes Millrace's topics, and moves consumer groups. Every failure is an
 * IOException that names the cluster.
 */
public final class TopicAdmin implements AutoCloseable {
  /** A replication factor: the cluster's default. */
  public static final int CLUSTER_DEFAULT = -1;

  private static final Logger LOG = LoggerFactory.getLogger(TopicAdmin.class);

  private static final String TRANSACTION_LIMIT = "transaction.max.timeout.ms";

  private static final Duration LEADER = Duration.ofSeconds(30);

  private final AdminCalls calls;
  private final KafkaSettings settings;
  private final Admin admin;

  public TopicAdmin(KafkaSettings settings) {
    this.settings = settings;
    this.calls = new AdminCalls(settings);
    this.admin = calls.admin();
  }

  /**
   * A topic's present state in Kafka.
   *
   * @param name the topic's name with its prefix
   * @param partitions the number of partitions
   * @param replication the number of copies of each partition
   * @param compacted whether Kafka keeps only the latest record of each key
   * @param maxRecordBytes the largest record that the topic takes
   * @param beginOffsets the first offset that Kafka still has, by partition
   * @param endOffsets the offset after the last committed record, by partition
   */
  public record State(
      Topic<?> topic,
      String name,
      int partitions,
      int replication,
      boolean compacted,
      int maxRecordBytes,
      Map<Integer, Long> beginOffsets,
      Map<Integer, Long> endOffsets) {
    public State {
      beginOffsets = Map.copyOf(beginOffsets);
      endOffsets = Map.copyOf(endOffsets);
    }

    /** The topic's partitions. */
    public List<TopicPartition> topicPartitions() {
      return IntStream.range(0, partitions).mapToObj(i -> new TopicPartition(name, i)).toList();
    }

    /** The number of offsets in use: records and transaction markers. */
    public long offsets() {
      long sum = 0;
      for (Map.Entry<Integer, Long> end : endOffsets.entrySet()) {
        sum += end.getValue() - beginOffsets.get(end.getKey());
      }
      return sum;
    }
  }

  /**
   * Waits until the cluster responds.
   *
   * @throws IOException when it does not respond within {@code timeout}
   */
  public void awaitReady(Duration timeout) throws IOException {
    long deadline = System.nanoTime() + timeout.toNanos();
    while (true) {
      try {
        if (!get(admin.describeCluster().nodes(), "list its brokers").isEmpty()) {
          return;
        }
      } catch (IOException e) {
        if (System.nanoTime() >= deadline || !(e.getCause() instanceof TimeoutException)) {
          throw e;
        }
      }
    }
  }

  /** Kafka's id of the cluster; positions in topics mean nothing in another one. */
  public String clusterId() throws IOException {
    return get(admin.describeCluster().clusterId(), "report its cluster id");
  }

  /**
   * Creates every topic that does not exist yet. Compacted topics get one partition: they have few
   * records, whose order matters.
   *
   * @param partitions the number of partitions of every other topic
   * @param replication the number of copies of each partition, or {@link #CLUSTER_DEFAULT}
   * @throws IOException also when an existing topic has the wrong cleanup policy, which would lose
   *     announcements
   */
  public void createAll(int partitions, int replication) throws IOException {
    if (partitions < 1) {
      throw new IllegalArgumentException("partitions is " + partitions + "; it must be at least 1");
    }
    // A user without the right to create topics can still use existing ones.
    Set<String> existing = descriptions().keySet();
    List<NewTopic> wanted = new ArrayList<>();
    for (Topic<?> topic : Topic.all()) {
      if (existing.contains(settings.nameOf(topic))) {
        continue;
      }
      String policy =
          topic.compacted()
              ? TopicConfig.CLEANUP_POLICY_COMPACT
              : TopicConfig.CLEANUP_POLICY_DELETE;
      int count = topic.compacted() ? 1 : partitions;
      wanted.add(
          new NewTopic(settings.nameOf(topic), count, (short) replication)
              .configs(
                  Map.of(
                      TopicConfig.CLEANUP_POLICY_CONFIG,
                      policy,
                      TopicConfig.MAX_MESSAGE_BYTES_CONFIG,
                      Integer.toString(settings.maxRecordBytes()))));
    }
    for (Map.Entry<String, KafkaFuture<Void>> created :
        admin.createTopics(wanted).values().entrySet()) {
      try {
        get(created.getValue(), "create topic " + created.getKey());
      } catch (IOException e) {
        if (!(e.getCause() instanceof TopicExistsException)) {
          throw e;
        }
      }
    }
    awaitLeaders();
    for (State state : describe()) {
      if (state.topic().compacted() != state.compacted()) {
        throw new IOException(
            "topic %s has the wrong cleanup policy; correct it with: kafka-configs.sh --alter --topic %s"
                    .formatted(state.name(), state.name())
                + " --add-config cleanup.policy="
                + (state.topic().compacted() ? "compact" : "delete"));
      }
    }
  }

  /**
   * Requires that no existing topic differs from a layout.
   *
   * @throws IOException naming every difference, and how to mend them
   */
  public void require(TopicLayout layout) throws IOException {
    List<String> differences = layout.differences(describe());
    if (!differences.isEmpty()) {
      throw new IOException(
          "%s; change the topics with: millrace topics --alter%s%s, or correct the option"
              .formatted(
                  String.join("; ", differences),
                  layout.partitions().isPresent()
                      ? " --partitions " + layout.partitions().getAsInt()
                      : "",
                  layout.maxRecordBytes() > 0
                      ? " --max-record-size " + layout.maxRecordBytes() + "b"
                      : ""));
    }
  }

  /** Requires a number of partitions of existing topics; empty: any number is right. */
  public void requirePartitions(OptionalInt partitions) throws IOException {
    require(new TopicLayout(partitions, OptionalInt.empty(), 0));
  }

  /**
   * Requires that the brokers accept the transaction timeout of jobs. Without the right to describe
   * the brokers, the first transaction of a job finds it out.
   *
   * @throws IOException when {@code transaction.max.timeout.ms} of a broker is lower
   */
  public void requireTransactionTimeout() throws IOException {
    long timeout = settings.transactionTimeoutMillis();
    List<ConfigResource> brokers = new ArrayList<>();
    get(admin.describeCluster().nodes(), "list its brokers")
        .forEach(
            node -> brokers.add(new ConfigResource(ConfigResource.Type.BROKER, node.idString())));
    Map<ConfigResource, Config> configs;
    try {
      configs = get(admin.describeConfigs(brokers).all(), "describe its brokers' configuration");
    } catch (IOException e) {
      if (e.getCause() instanceof AuthorizationException) {
        LOG.warn("cannot compare transaction.timeout.ms with the brokers' limit", e);
        return;
      }
      throw e;
    }
    for (Map.Entry<ConfigResource, Config> broker : configs.entrySet()) {
      String most = value(broker.getValue(), TRANSACTION_LIMIT);
      if (most != null && Long.parseLong(most) < timeout) {
        throw new IOException(
            "kafka.properties.transaction.timeout.ms is %d (15 minutes unless set); broker %s of %s allows at most %s (%s); lower the property, or raise the broker's limit"
                .formatted(
                    timeout,
                    broker.getKey().name(),
                    settings.bootstrapServers(),
                    most,
                    TRANSACTION_LIMIT));
      }
    }
  }

  /**
   * Adds partitions to existing topics and raises their record size. Partitions are never removed:
   * Kafka cannot do that.
   *
   * @return the changes, each with topic and values
   * @throws IOException also when a topic has more partitions than the layout, or another number of
   *     replicas; nothing is changed then
   */
  public List<String> alter(TopicLayout layout) throws IOException {
    List<State> topics = describe();
    Map<String, NewPartitions> more = new TreeMap<>();
    Map<ConfigResource, Collection<AlterConfigOp>> sizes = new HashMap<>();
    List<String> changes = layout.differences(topics);
    for (State topic : topics) {
      int wanted = layout.otherPartitions(topic).orElse(topic.partitions());
      if (wanted < topic.partitions()) {
        throw new IOException(
            "topic %s has %d partitions, and Kafka cannot remove any; ask for at least %d, or create the topics anew under another prefix"
                .formatted(topic.name(), topic.partitions(), topic.partitions()));
      }
      if (layout.replication().orElse(topic.replication()) != topic.replication()) {
        throw new IOException(
            "topic %s has %d replicas; change that with kafka-reassign-partitions.sh, or leave out --replication"
                .formatted(topic.name(), topic.replication()));
      }
      if (wanted > topic.partitions()) {
        more.put(topic.name(), NewPartitions.increaseTo(wanted));
      }
      if (layout.refusesRecords(topic)) {
        ConfigEntry size =
            new ConfigEntry(
                TopicConfig.MAX_MESSAGE_BYTES_CONFIG, Integer.toString(layout.maxRecordBytes()));
        sizes.put(
            new ConfigResource(ConfigResource.Type.TOPIC, topic.name()),
            List.of(new AlterConfigOp(size, AlterConfigOp.OpType.SET)));
      }
    }
    Void _ = calls.get(admin.createPartitions(more).all(), "add partitions");
    Void _ = calls.get(admin.incrementalAlterConfigs(sizes).all(), "raise max.message.bytes");
    awaitPartitions(layout);
    return changes;
  }

  /** Waits until the leader of each new partition answers. */
  private void awaitPartitions(TopicLayout layout) throws IOException {
    long deadline = System.nanoTime() + LEADER.toNanos();
    TopicLayout partitions = new TopicLayout(layout.partitions(), OptionalInt.empty(), 0);
    while (true) {
      try {
        awaitLeaders();
        if (partitions.differences(describe()).isEmpty()) {
          return;
        }
      } catch (IOException e) {
        if (System.nanoTime() > deadline) {
          throw e;
        }
      }
      if (System.nanoTime() > deadline) {
        throw new IOException(
            "Kafka at %s (kafka.bootstrap-servers) does not show the new partitions after %d s; check the brokers' logs"
                .formatted(settings.bootstrapServers(), LEADER.toSeconds()));
      }
    }
  }

  /** The state of every topic that exists, in {@link Topic#all()} order. */
  public List<State> describe() throws IOException {
    Map<String, TopicDescription> existing = descriptions();
    Map<String, Config> configs = configs(existing.keySet());
    List<TopicPartition> partitions = new ArrayList<>();
    existing.forEach(
        (name, description) ->
            description
                .partitions()
                .forEach(info -> partitions.add(new TopicPartition(name, info.partition()))));
    Map<TopicPartition, Long> begins =
        calls.offsets(partitions, OffsetSpec.earliest(), IsolationLevel.READ_COMMITTED);
    Map<TopicPartition, Long> ends =
        calls.offsets(partitions, OffsetSpec.latest(), IsolationLevel.READ_COMMITTED);
    List<State> states = new ArrayList<>();
    for (Topic<?> topic : Topic.all()) {
      String name = settings.nameOf(topic);
      TopicDescription description = existing.get(name);
      if (description != null) {
        states.add(
            new State(
                topic,
                name,
                description.partitions().size(),
                description.partitions().getFirst().replicas().size(),
                value(configs.get(name), TopicConfig.CLEANUP_POLICY_CONFIG)
                    .equals(TopicConfig.CLEANUP_POLICY_COMPACT),
                Integer.parseInt(value(configs.get(name), TopicConfig.MAX_MESSAGE_BYTES_CONFIG)),
                ofTopic(name, begins),
                ofTopic(name, ends)));
      }
    }
    return states;
  }

  /** The state of a topic; empty when it does not exist. */
  public Optional<State> describe(Topic<?> topic) throws IOException {
    return describe().stream().filter(state -> state.topic().equals(topic)).findFirst();
  }

  /** Kafka's id of a topic, which a topic that is made anew does not have. */
  public String idOf(Topic<?> topic) throws IOException {
    String name = settings.nameOf(topic);
    return get(
            admin.describeTopics(List.of(name)).topicNameValues().get(name),
            "describe topic " + name)
        .topicId()
        .toString();
  }

  /**
   * Sets the position of a consumer group without active consumers, such as that of a stopped job.
   *
   * @param offsets the offset of the next record to read, by partition
   */
  public void moveGroup(String group, Topic<?> topic, Map<Integer, Long> offsets)
      throws IOException {
    Map<TopicPartition, OffsetAndMetadata> positions = new HashMap<>();
    offsets.forEach(
        (partition, offset) ->
            positions.put(
                new TopicPartition(settings.nameOf(topic), partition),
                new OffsetAndMetadata(offset)));
    Void _ =
        get(
            admin.alterConsumerGroupOffsets(group, positions).all(),
            "move consumer group " + group + " on " + settings.nameOf(topic));
  }

  /**
   * The offset of the next record that a consumer group reads, by partition. Partitions that the
   * group never read are left out.
   */
  public Map<Integer, Long> groupPositions(String group, Topic<?> topic) throws IOException {
    Map<Integer, Long> positions = new HashMap<>();
    get(
            admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata(),
            "list the offsets of consumer group " + group)
        .forEach(
            (partition, offset) -> {
              if (offset != null && partition.topic().equals(settings.nameOf(topic))) {
                positions.put(partition.partition(), offset.offset());
              }
            });
    return positions;
  }

  @Override
  public void close() {
    calls.close();
  }

  /** Waits for the partitions of new topics to have leaders. Until then, requests for them fail. */
  private void awaitLeaders() throws IOException {
    long deadline = System.nanoTime() + LEADER.toNanos();
    while (true) {
      Map<String, TopicDescription> existing = descriptions();
      boolean ready =
          existing.size() == Topic.all().size()
              && existing.values().stream()
                  .flatMap(description -> description.partitions().stream())
                  .allMatch(partition -> partition.leader() != null);
      if (ready) {
        return;
      }
      if (System.nanoTime() > deadline) {
        throw new IOException(
            "Kafka at %s (kafka.bootstrap-servers) created the topics, but some partitions have no leader after %d s; check the brokers' logs"
                .formatted(settings.bootstrapServers(), LEADER.toSeconds()));
      }
    }
  }

  private Map<String, TopicDescription> descriptions() throws IOException {
    Set<String> existing = get(admin.listTopics().names(), "list its topics");
    List<String> ours =
        Topic.all().stream().map(settings::nameOf).filter(existing::contains).toList();
    return get(admin.describeTopics(ours).allTopicNames(), "describe its topics");
  }

  private Map<String, Config> configs(Collection<String> names) throws IOException {
    List<ConfigResource> resources =
        names.stream().map(name -> new ConfigResource(ConfigResource.Type.TOPIC, name)).toList();
    Map<String, Config> result = new HashMap<>();
    get(admin.describeConfigs(resources).all(), "describe its topics' configuration")
        .forEach((resource, config) -> result.put(resource.name(), config));
    return result;
  }

  private static String value(Config config, String name) {
    ConfigEntry entry = config.get(name);
    return entry == null ? null : entry.value();
  }

  private static Map<Integer, Long> ofTopic(String name, Map<TopicPartition, Long> offsets) {
    Map<Integer, Long> result = new TreeMap<>();
    offsets.forEach(
        (partition, offset) -> {
          if (partition.topic().equals(name)) {
            result.put(partition.partition(), offset);
          }
        });
    return result;
  }

  private <R> R get(KafkaFuture<R> future, String action) throws IOException {
    return calls.get(future, action);
  }
}
