package io.millrace.connectors.kafka;

import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.config.TopicConfig;

/**
 * Topics whose records Kafka removes soon after a tombstone of their key, until {@link #close},
 * which sets their former configuration again. The end of the process does the same.
 */
final class CompactedForAWhile implements AutoCloseable {

  /** The time after which a segment is closed; by it an interrupted erasure is recognised. */
  static final String SEGMENT_MILLIS = "617";

  static final Duration SEGMENT_AGE = Duration.ofMillis(Long.parseLong(SEGMENT_MILLIS));

  private static final Map<String, String> COMPACTING =
      Map.of(
          // Retention goes on meanwhile.
          TopicConfig.CLEANUP_POLICY_CONFIG,
          TopicConfig.CLEANUP_POLICY_COMPACT + "," + TopicConfig.CLEANUP_POLICY_DELETE,
          TopicConfig.SEGMENT_MS_CONFIG,
          SEGMENT_MILLIS,
          TopicConfig.MIN_CLEANABLE_DIRTY_RATIO_CONFIG,
          "0",
          TopicConfig.MIN_COMPACTION_LAG_MS_CONFIG,
          "0",
          TopicConfig.MAX_COMPACTION_LAG_MS_CONFIG,
          SEGMENT_MILLIS,
          TopicConfig.FILE_DELETE_DELAY_MS_CONFIG,
          "0");

  private final AdminCalls calls;
  private final Map<String, List<AlterConfigOp>> former = new TreeMap<>();
  private final Thread atExit = new Thread(this::restoreAtExit, "restore topics");
  private boolean restored;

  /**
   * @param topics full names
   */
  CompactedForAWhile(AdminCalls calls, Collection<String> topics) throws IOException {
    this.calls = calls;
    List<ConfigResource> resources = topics.stream().map(CompactedForAWhile::resource).toList();
    calls
        .get(calls.admin().describeConfigs(resources).all(), "describe its topics' configuration")
        .forEach((resource, config) -> former.put(resource.name(), former(config)));
    Runtime.getRuntime().addShutdownHook(atExit);
    try {
      Map<String, List<AlterConfigOp>> changes = new TreeMap<>();
      for (String topic : topics) {
        changes.put(
            topic,
            COMPACTING.entrySet().stream().map(one -> set(one.getKey(), one.getValue())).toList());
      }
      alter(changes, "compact topics");
    } catch (IOException e) {
      try {
        close();
      } catch (IOException alsoFailed) {
        e.addSuppressed(alsoFailed);
      }
      throw e;
    }
  }

  /** The changes that lead back to a configuration. */
  private static List<AlterConfigOp> former(Config config) {
    boolean leftBehind =
        SEGMENT_MILLIS.equals(config.get(TopicConfig.SEGMENT_MS_CONFIG).value())
            && SEGMENT_MILLIS.equals(config.get(TopicConfig.MAX_COMPACTION_LAG_MS_CONFIG).value());
    List<AlterConfigOp> changes = new ArrayList<>();
    for (String name : COMPACTING.keySet()) {
      ConfigEntry entry = config.get(name);
      boolean own = entry.source() == ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG;
      if (leftBehind && name.equals(TopicConfig.CLEANUP_POLICY_CONFIG)) {
        changes.add(set(name, TopicConfig.CLEANUP_POLICY_DELETE));
      } else if (own && !leftBehind) {
        changes.add(set(name, entry.value()));
      } else {
        changes.add(new AlterConfigOp(new ConfigEntry(name, ""), AlterConfigOp.OpType.DELETE));
      }
    }
    return changes;
  }

  private static AlterConfigOp set(String name, String value) {
    return new AlterConfigOp(new ConfigEntry(name, value), AlterConfigOp.OpType.SET);
  }

  private static ConfigResource resource(String topic) {
    return new ConfigResource(ConfigResource.Type.TOPIC, topic);
  }

  private void alter(Map<String, List<AlterConfigOp>> changes, String action) throws IOException {
    Map<ConfigResource, Collection<AlterConfigOp>> all = new LinkedHashMap<>();
    changes.forEach((topic, ops) -> all.put(resource(topic), ops));
    Void _ = calls.get(calls.admin().incrementalAlterConfigs(all).all(), action);
  }

  private void restoreAtExit() {
    try {
      restore();
    } catch (IOException e) {
      System.err.println("millrace: " + e.getMessage());
    }
  }

  private synchronized void restore() throws IOException {
    if (restored) {
      return;
    }
    restored = true;
    try {
      alter(former, "set the former configuration of topics");
    } catch (IOException e) {
      throw new IOException(
          "%s; topics are still compacted; set their configuration by hand: %s"
              .formatted(e.getMessage(), commands()),
          e);
    }
  }

  /** What a person types to set the former configuration. */
  private String commands() {
    return former.entrySet().stream()
        .map(
            topic ->
                "kafka-configs.sh --alter --topic %s%s%s"
                    .formatted(
                        topic.getKey(),
                        list(topic.getValue(), AlterConfigOp.OpType.SET, " --add-config "),
                        list(topic.getValue(), AlterConfigOp.OpType.DELETE, " --delete-config ")))
        .collect(Collectors.joining("; "));
  }

  private static String list(List<AlterConfigOp> all, AlterConfigOp.OpType type, String option) {
    String listed =
        all.stream()
            .filter(op -> op.opType() == type)
            .map(
                op ->
                    type == AlterConfigOp.OpType.SET
                        ? "%s=[%s]".formatted(op.configEntry().name(), op.configEntry().value())
                        : op.configEntry().name())
            .collect(Collectors.joining(","));
    return listed.isEmpty() ? "" : option + listed;
  }

  @Override
  public void close() throws IOException {
    try {
      restore();
    } finally {
      try {
        boolean _ = Runtime.getRuntime().removeShutdownHook(atExit);
      } catch (IllegalStateException e) {
        // The process ends, and the hook runs.
      }
    }
  }
}
