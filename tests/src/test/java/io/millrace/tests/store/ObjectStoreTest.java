package io.millrace.tests.store;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.cluster.JvmFlags;
import io.millrace.connectors.broker.EmbeddedBroker;
import io.millrace.connectors.checkpoint.PolicyCheckpoints;
import io.millrace.connectors.checkpoint.PolicyVersion;
import io.millrace.connectors.checkpoint.store.CheckpointCache;
import io.millrace.connectors.checkpoint.store.CheckpointStore;
import io.millrace.connectors.checkpoint.store.LocalCheckpoint;
import io.millrace.connectors.checkpoint.store.StagedFiles;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.jobs.runtime.FileSystems;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.Topic;
import io.millrace.world.DemoWorld;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeSet;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Checkpoints and Flink's state in S3, by Flink's own file systems, against a real server. */
@Tag("slow")
class ObjectStoreTest {
  private static final int LARGE = 12_000_000;
  private static final int DEMONSTRATIONS = 400;
  private static final int PATIENCE_SECONDS = 120;

  @TempDir private static Path directory;
  private static ObjectStoreServer server;
  private static EmbeddedBroker broker;

  @BeforeAll
  static void start() throws Exception {
    server = ObjectStoreServer.start(directory);
    broker = EmbeddedBroker.start(directory.resolve("kafka"), 0);
  }

  @AfterAll
  static void stop() throws Exception {
    broker.close();
    server.close();
  }

  private static byte[] weights(int seed) {
    byte[] bytes = new byte[LARGE];
    new Random(seed).nextBytes(bytes);
    return bytes;
  }

  private static String sha256(byte[] bytes) throws Exception {
    return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
  }

  private static StagedFiles stage(CheckpointStore store, long version, byte[] weights)
      throws Exception {
    String manifest =
        """
        {"version": %d, "files": {
          "model.safetensors": {"sha256": "%s", "size": %d},
          "empty.txt": {"sha256": "%s", "size": 0}}}
        """
            .formatted(version, sha256(weights), weights.length, sha256(new byte[0]));
    return store.stage(
        "policy",
        version,
        work -> {
          Files.write(work.resolve("model.safetensors"), weights);
          Files.createFile(work.resolve("empty.txt"));
          Files.writeString(work.resolve("millrace.json"), manifest);
        });
  }

  @ParameterizedTest
  @EnumSource
  void publishesReadsAndIsWatched(ObjectStoreServer.Factory factory) throws Exception {
    FileSystems.initialize(server.properties(factory));
    String root = "s3://" + ObjectStoreServer.BUCKET + "/" + factory + "/checkpoints";
    CheckpointStore.requireWritable(root);
    CheckpointStore store = new CheckpointStore(root, directory.resolve("scratch").toString());
    assertEquals(0, store.latestVersion("policy"));
    KafkaSettings kafka = new KafkaSettings(broker.bootstrapServers(), factory + ".", Map.of());
    try (TopicAdmin admin = new TopicAdmin(kafka)) {
      admin.createAll(1, 1);
    }
    BlockingQueue<PolicyVersion> handed = new LinkedBlockingQueue<>();
    Path copies = directory.resolve("copies-" + factory);
    try (PolicyCheckpoints _ =
        PolicyCheckpoints.builder().kafka(kafka).directory(copies).watch(handed::add)) {
      for (int version = 1; version <= 3; version++) {
        StagedFiles files = stage(store, version, weights(version));
        assertEquals(version - 1, store.latestVersion("policy"), "it is staged only");
        store.commit(files);
        store.commit(files);
        assertEquals(version, store.latestVersion("policy"));
        announce(kafka, files);
        PolicyVersion got = handed.poll(PATIENCE_SECONDS, TimeUnit.SECONDS);
        assertEquals(version, got.version());
        assertArrayEquals(
            weights(version), Files.readAllBytes(got.directory().resolve("model.safetensors")));
        assertEquals(0, Files.size(got.directory().resolve("empty.txt")));
      }
    }
    StagedFiles other = stage(store, 3, weights(99));
    IOException e = assertThrows(IOException.class, () -> store.commit(other));
    assertTrue(e.getMessage().contains("already published with other content"), e.getMessage());

    CheckpointCache cache = new CheckpointCache(directory.resolve("cache").toString(), 0);
    try (LocalCheckpoint got = cache.open(store.uri("policy", 3))) {
      assertArrayEquals(
          weights(3), Files.readAllBytes(got.directory().resolve("model.safetensors")));
    }
    assertFalse(CheckpointStore.isRetired(store.uri("policy", 3)));
    assertFalse(CheckpointStore.isRetired(store.uri("policy", 4)));
  }

  private static void announce(KafkaSettings kafka, StagedFiles files) throws IOException {
    try (RecordWriter writer = new RecordWriter(kafka)) {
      writer.send(
          Topic.POLICY_CHECKPOINTS,
          PolicyCheckpoint.newBuilder()
              .setModel("policy")
              .setVersion(files.version())
              .setUri(files.finalUri())
              .setManifestSha256(files.manifestSha256())
              .setIteration(files.version())
              .setStep(files.version())
              .setMetrics(Map.of())
              .setTime(InstantSource.system().instant())
              .build());
    }
  }

  /** The jobs as they are run by hand, with everything that outlives them in the store. */
  @Test
  void jobsLearnResumePublishRetireAndSampleFromTheStore() throws Exception {
    ObjectStoreServer.Factory factory = ObjectStoreServer.Factory.NATIVE;
    String root = "s3://" + ObjectStoreServer.BUCKET + "/jobs/checkpoints";
    List<String> settings = new ArrayList<>(server.settings(factory));
    settings.addAll(
        List.of(
            "kafka.bootstrap-servers=" + broker.bootstrapServers(),
            "kafka.topic-prefix=jobs.",
            "checkpoints.directory=" + root,
            "checkpoints.cache-directory=" + directory.resolve("jobs-cache"),
            "checkpoints.keep=1",
            "checkpoints.keep-for=0s",
            "flink.state-directory=s3://" + ObjectStoreServer.BUCKET + "/jobs/flink",
            "flink.checkpoint-interval=500ms",
            "flink.restart-delay=50ms",
            "model.hidden-size=16",
            "model.heads=2",
            "model.ffn-size=32",
            "model.max-positions=128",
            "supervised.file=" + demonstrations(),
            "supervised.epochs=4",
            "supervised.batch-size=2",
            "supervised.sequence-length=128",
            "supervised.publish-every=400",
            "supervised.fail-at-demonstration=900",
            "rollout.max-prompt-tokens=96",
            "rollout.max-tokens=16"));
    String learned = millrace(settings, "run", "supervised", "--bounded");
    assertTrue(learned.contains("\"restarts\""), learned);

    FileSystems.initialize(server.properties(factory));
    KafkaSettings kafka = new KafkaSettings(broker.bootstrapServers(), "jobs.", Map.of());
    List<PolicyCheckpoint> announced = announced(kafka);
    assertEquals(
        List.of(1L, 2L, 3L, 4L), announced.stream().map(PolicyCheckpoint::getVersion).toList());
    assertTrue(CheckpointStore.isRetired(announced.get(1).getUri()), "version 2 was let go");
    PolicyCheckpoint last = announced.getLast();
    assertEquals(root + "/policy/v000004", last.getUri());
    try (LocalCheckpoint got =
        new CheckpointCache(directory.resolve("cache").toString(), 0)
            .open(last.getUri(), last.getManifestSha256())) {
      assertTrue(CheckpointDirectory.verify(got.directory()).isSound());
    }

    try (RecordWriter writer = new RecordWriter(kafka)) {
      for (Prompt prompt : new DemoWorld(3, InstantSource.system()).prompts(0, 8)) {
        writer.send(Topic.PROMPTS, prompt);
      }
    }
    millrace(settings, "run", "rollout", "--bounded");
    List<Rollout> rollouts = new ArrayList<>();
    try (RecordReader<Rollout> reader = RecordReader.fromEarliest(kafka, Topic.ROLLOUTS)) {
      reader.readToEnd(entry -> rollouts.add(entry.record().orElseThrow()));
    }
    assertEquals(8, rollouts.size());
    TreeSet<Long> versions = new TreeSet<>();
    rollouts.forEach(rollout -> versions.add(rollout.getPolicyVersion()));
    assertEquals(List.of(4L), List.copyOf(versions));

    String verified = millrace(settings, "checkpoint", "verify", last.getUri());
    assertTrue(verified.startsWith(last.getUri() + ": sound"), verified);
    Path exported = directory.resolve("exported");
    millrace(settings, "checkpoint", "export", last.getUri(), "--out", exported.toString());
    assertTrue(CheckpointDirectory.verify(exported).isSound());
    millrace(settings, "generate", "--checkpoint", last.getUri(), "--prompt", "Hello");
  }

  private static Path demonstrations() throws IOException {
    return Files.write(
        directory.resolve("demonstrations.jsonl"),
        new DemoWorld(9, InstantSource.system())
            .demonstrations(DEMONSTRATIONS).stream()
                .map(
                    d ->
                        "{\"prompt\": \"%s\", \"completion\": \"%s\"}"
                            .formatted(
                                d.getDialogue().get(0).getContent(),
                                d.getDialogue().get(1).getContent()))
                .toList());
  }

  private static List<PolicyCheckpoint> announced(KafkaSettings kafka) throws IOException {
    List<PolicyCheckpoint> announced = new ArrayList<>();
    try (RecordReader<PolicyCheckpoint> reader =
        RecordReader.fromEarliest(kafka, Topic.POLICY_CHECKPOINTS)) {
      reader.readToEnd(entry -> announced.add(entry.record().orElseThrow()));
    }
    return announced;
  }

  /** Runs a command, which must not tell the secret, and returns what it printed. */
  private static String millrace(List<String> settings, String... arguments) throws Exception {
    Path log = directory.resolve("millrace.log");
    List<String> command =
        new ArrayList<>(
            List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString()));
    command.addAll(JvmFlags.required());
    command.addAll(
        List.of(
            "-XX:+UseSerialGC",
            "-Dmillrace.log=" + log,
            "-cp",
            System.getProperty("java.class.path"),
            "io.millrace.cli.Millrace"));
    command.addAll(List.of(arguments));
    settings.forEach(setting -> command.addAll(List.of("--set", setting)));
    Path errors = directory.resolve("command.err");
    ProcessBuilder builder = new ProcessBuilder(command).redirectError(errors.toFile());
    builder.environment().put("S3_SECRET", ObjectStoreServer.SECRET);
    Process process = builder.start();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    int status = process.waitFor();
    String told = said + Files.readString(errors);
    assertEquals(0, status, String.join(" ", arguments) + "\n" + told);
    assertFalse(told.contains(ObjectStoreServer.SECRET), told);
    if (Files.exists(log)) {
      assertFalse(
          Files.readString(log).contains(ObjectStoreServer.SECRET), "the secret is in " + log);
    }
    return said.strip();
  }
}
