package io.millrace.jobs.testkit;

import io.millrace.connectors.broker.EmbeddedBroker;
import io.millrace.jobs.runtime.LocalCluster;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.apache.flink.util.FileUtils;
import org.junit.jupiter.api.extension.AfterAllCallback;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.ExtensionContext;

/**
 * Runs jobs on an embedded broker and on Flink in the test's process. Register it in a static field
 * with {@code @RegisterExtension}: it lives as long as the test class.
 */
public final class JobHarness implements BeforeAllCallback, AfterAllCallback {

  private final int slots;
  private final List<String> settings;
  private Map<String, String> flink = Map.of();
  private Path directory;
  private EmbeddedBroker broker;
  private LocalCluster cluster;

  /**
   * @param slots how many tasks Flink runs side by side
   * @param settings {@code section.key=value}, of every deployment
   */
  public JobHarness(int slots, String... settings) {
    this(slots, List.of(settings));
  }

  /**
   * @param slots how many tasks Flink runs side by side
   * @param settings {@code section.key=value}, of every deployment
   */
  public JobHarness(int slots, List<String> settings) {
    this.slots = slots;
    this.settings = List.copyOf(settings);
  }

  /** Settings of Flink's processes, such as a reporter of metrics. */
  public JobHarness flink(Map<String, String> properties) {
    this.flink = Map.copyOf(properties);
    return this;
  }

  @Override
  public void beforeAll(ExtensionContext context) throws Exception {
    directory = Files.createTempDirectory("millrace-jobs");
    broker = EmbeddedBroker.start(directory.resolve("kafka"), 0);
    cluster = LocalCluster.start(slots, flink);
  }

  @Override
  public void afterAll(ExtensionContext context) throws Exception {
    if (cluster != null) {
      cluster.close();
    }
    if (broker != null) {
      broker.close();
    }
    FileUtils.deleteDirectory(directory.toFile());
  }

  /** A temporary directory, deleted after the test class. */
  public Path directory() {
    return directory;
  }

  public LocalCluster cluster() {
    return cluster;
  }

  String bootstrapServers() {
    return broker.bootstrapServers();
  }

  /** A deployment whose topics have one partition. */
  public Deployment deploy(String name, String... more) throws IOException {
    return deploy(name, 1, more);
  }

  /**
   * A deployment with its own topics, checkpoints and Flink state. Creates the topics that do not
   * exist.
   *
   * @param name prefix of the topics and of the directories
   * @param partitions of each topic
   * @param more settings on top of the harness's; a later setting of a key wins
   */
  public Deployment deploy(String name, int partitions, String... more) throws IOException {
    List<String> all = new ArrayList<>(settings);
    all.addAll(Arrays.asList(more));
    return new Deployment(this, name, partitions, all);
  }
}
