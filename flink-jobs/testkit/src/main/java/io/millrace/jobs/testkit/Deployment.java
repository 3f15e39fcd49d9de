package io.millrace.jobs.testkit;

import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.InitialModel;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.Topic;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.apache.avro.specific.SpecificRecordBase;
import org.apache.flink.api.common.JobExecutionResult;
import org.apache.flink.streaming.api.graph.StreamGraph;

/** A deployment's topics, checkpoints and settings, and the jobs that run on them. */
public final class Deployment {

  private final JobHarness harness;
  private final String name;
  private final List<String> settings;
  private final KafkaSettings kafka;

  Deployment(JobHarness harness, String name, int partitions, List<String> settings)
      throws IOException {
    this.harness = harness;
    this.name = name;
    this.settings = settings;
    this.kafka = new KafkaSettings(harness.bootstrapServers(), name + ".", Map.of());
    try (TopicAdmin admin = new TopicAdmin(kafka)) {
      admin.createAll(partitions, 1);
    }
  }

  public KafkaSettings kafka() {
    return kafka;
  }

  /** The root of the deployment's checkpoints. */
  public Path checkpoints() {
    return harness.directory().resolve(name);
  }

  /**
   * The configuration of a job. If it names no initial model, one is made, the same for all jobs of
   * the deployment that give the model the same shape and seed.
   *
   * @param more settings on top of the deployment's; a later setting of a key wins
   */
  public MillraceConfig config(String... more) throws IOException {
    return InitialModel.ensure(ConfigLoader.load(Optional.empty(), settings(more)));
  }

  /** All settings of a job, as {@link #config} loads them. */
  public List<String> settings(String... more) {
    Path directory = harness.directory();
    List<String> all =
        new ArrayList<>(
            List.of(
                "kafka.bootstrap-servers=" + harness.bootstrapServers(),
                "kafka.topic-prefix=" + name + ".",
                "checkpoints.directory=" + checkpoints(),
                "checkpoints.cache-directory=" + directory.resolve(name + "-cache"),
                "flink.state-directory=" + directory.resolve(name + "-flink"),
                "flink.checkpoint-interval=100ms",
                "flink.restart-delay=50ms"));
    all.addAll(settings);
    all.addAll(List.of(more));
    return all;
  }

  public <T extends SpecificRecordBase> void send(Topic<T> topic, List<T> records)
      throws IOException {
    try (RecordWriter writer = new RecordWriter(kafka)) {
      for (T record : records) {
        writer.send(topic, record);
      }
    }
  }

  /** The committed records of a topic, oldest first. */
  public <T extends SpecificRecordBase> List<T> read(Topic<T> topic) throws IOException {
    List<T> records = new ArrayList<>();
    try (RecordReader<T> reader = RecordReader.fromEarliest(kafka, topic)) {
      reader.readToEnd(entry -> records.add(entry.record().orElseThrow()));
    }
    return records;
  }

  /** Manifest digests of the announced policies, by version. */
  public Map<Long, String> announced() throws IOException {
    Map<Long, String> digests = new TreeMap<>();
    for (PolicyCheckpoint policy : read(Topic.POLICY_CHECKPOINTS)) {
      digests.put(policy.getVersion(), policy.getManifestSha256());
    }
    return digests;
  }

  /** Runs a bounded job to its end. */
  public JobExecutionResult run(StreamGraph job) throws Exception {
    return harness.cluster().await(harness.cluster().submit(job));
  }

  /** The metrics that a job reported at its end. */
  @SuppressWarnings("unchecked")
  public static Map<String, Double> summary(JobExecutionResult result, String job) {
    return new TreeMap<>((Map<String, Double>) result.getAllAccumulatorResults().get(job));
  }
}
