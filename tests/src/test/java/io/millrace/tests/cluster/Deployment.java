package io.millrace.tests.cluster;

import io.millrace.connectors.checkpoint.store.CheckpointStore;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.jobs.Job;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.schemas.Topic;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import org.apache.avro.specific.SpecificRecordBase;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.junit.jupiter.api.Assertions;

/** Topics of one prefix, checkpoints of one directory, and what a job does with them. */
final class Deployment {

  /** Asked again and again: a broker that is away shall not hold up the question for long. */
  private static final Map<String, String> PATIENCE =
      Map.of("request.timeout.ms", "5000", "default.api.timeout.ms", "10000");

  private final ClusterUnderTest cluster;
  private final String prefix;
  private final Path directory;
  private final List<String> settings;
  private final KafkaSettings kafka;

  /**
   * @param settings {@code section.key=value} of the jobs
   */
  Deployment(ClusterUnderTest cluster, Path root, String name, List<String> settings)
      throws IOException {
    this.cluster = cluster;
    this.prefix = name + ".";
    this.directory = root.resolve(name);
    this.settings = settings;
    this.kafka = new KafkaSettings(cluster.ports().kafkaAddress(), prefix, Map.of());
    try (TopicAdmin admin = new TopicAdmin(kafka)) {
      admin.createAll(1, 1);
    }
  }

  void awaitKafka() throws IOException {
    try (TopicAdmin admin = new TopicAdmin(kafka)) {
      admin.awaitReady(ClusterUnderTest.PATIENCE);
    }
  }

  String jobName(Job job) {
    return prefix + job.id();
  }

  void submit(Job job, String... more) throws IOException, InterruptedException {
    cluster.run(command("submit", job, more));
  }

  /** A command about a job, with the settings of this deployment. */
  String[] command(String name, Job job, String... more) {
    List<String> command = new ArrayList<>(List.of(name, job.id()));
    List<String> all = new ArrayList<>(settings);
    all.add("kafka.topic-prefix=" + prefix);
    all.add("checkpoints.directory=" + directory.resolve("checkpoints"));
    // One deployment's reward models are announced to another.
    all.add("checkpoints.other-roots=" + directory.getParent());
    all.add("flink.state-directory=" + directory.resolve("flink"));
    for (String setting : all) {
      command.addAll(List.of("--set", setting));
    }
    // A later setting of the same option counts.
    command.addAll(List.of(more));
    return command.toArray(String[]::new);
  }

  /** Lets a job finish what it has and publish. */
  void drain(Job job) throws IOException, InterruptedException {
    cluster.run("stop", jobName(job), "--drain");
  }

  /** Ends a job with a savepoint; returns where that lies. */
  String stop(Job job) throws IOException, InterruptedException {
    return cluster.run("stop", jobName(job)).lines().toList().getLast();
  }

  <T extends SpecificRecordBase> void send(Topic<T> topic, List<T> records) throws IOException {
    try (RecordWriter writer = new RecordWriter(kafka)) {
      for (T record : records) {
        writer.send(topic, record);
      }
    }
  }

  /** Sends bytes that need not be a valid record. */
  void sendRaw(Topic<?> topic, byte[] key, byte[] value) throws IOException {
    try (RecordWriter writer = new RecordWriter(kafka)) {
      writer.sendRaw(topic, key, value);
    }
  }

  /** Continues on a cluster that was started again. */
  Deployment on(ClusterUnderTest restarted, Path root) throws IOException {
    return new Deployment(restarted, root, prefix.substring(0, prefix.length() - 1), settings);
  }

  /** The committed records of a topic. */
  <T extends SpecificRecordBase> List<T> read(Topic<T> topic) throws IOException {
    List<T> records = new ArrayList<>();
    try (RecordReader<T> reader = RecordReader.fromEarliest(kafka, topic)) {
      reader.readToEnd(entry -> records.add(entry.record().orElseThrow()));
    }
    return records;
  }

  /** How many records of a topic a completed Flink checkpoint covers. */
  long consumed(Job job, Topic<?> topic) throws Exception {
    try (Admin admin = Admin.create(kafka.properties(PATIENCE))) {
      OffsetAndMetadata committed =
          admin
              .listConsumerGroupOffsets(jobName(job))
              .partitionsToOffsetAndMetadata()
              .get()
              .get(new TopicPartition(kafka.nameOf(topic), 0));
      return committed == null ? 0 : committed.offset();
    }
  }

  void awaitConsumed(Job job, Topic<?> topic, long records) throws Exception {
    ClusterUnderTest.await(
        "%d records of %s to be consumed by %s".formatted(records, topic, jobName(job)),
        () -> {
          long consumed = consumed(job, topic);
          Assertions.assertTrue(consumed <= records, "consumed " + consumed + " of " + records);
          return consumed == records;
        });
  }

  /** An announced version. */
  record Published(long version, String uri, String manifestSha256) {}

  /**
   * What was published under each key: every version from 1 on, in order and once, each directory
   * sound; told as the digest of the weights and the counts.
   */
  static SortedMap<String, List<String>> verified(Map<String, List<Published>> announced)
      throws IOException {
    SortedMap<String, List<String>> result = new TreeMap<>();
    for (Map.Entry<String, List<Published>> key : announced.entrySet()) {
      List<String> versions = new ArrayList<>();
      long expected = 1;
      for (Published published : key.getValue()) {
        Assertions.assertEquals(expected++, published.version(), "versions of " + key.getKey());
        Path path = CheckpointStore.resolve(published.uri());
        Assertions.assertTrue(CheckpointDirectory.verify(path).isSound(), path.toString());
        Assertions.assertEquals(
            published.manifestSha256(), CheckpointDirectory.manifestDigest(path), path.toString());
        try (CheckpointDirectory checkpoint = CheckpointDirectory.open(path)) {
          var manifest = checkpoint.manifest().orElseThrow();
          versions.add(
              manifest.files().get("model.safetensors").sha256()
                  + " "
                  + new TreeMap<>(manifest.records()));
        }
      }
      result.put(key.getKey(), versions);
    }
    return result;
  }
}
