package io.millrace.tests.store;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.cluster.JvmFlags;
import io.millrace.connectors.checkpoint.PolicyCheckpoints;
import io.millrace.connectors.checkpoint.PolicyVersion;
import io.millrace.connectors.checkpoint.store.CheckpointCache;
import io.millrace.connectors.checkpoint.store.CheckpointStore;
import io.millrace.connectors.checkpoint.store.LocalCheckpoint;
import io.millrace.connectors.checkpoint.store.StagedFiles;
import io.millrace.jobs.Job;
import io.millrace.jobs.runtime.FileSystems;
import io.millrace.jobs.testkit.Deployment;
import io.millrace.jobs.testkit.FailOnce;
import io.millrace.jobs.testkit.JobHarness;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.schemas.PolicyCheckpoint;
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
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Checkpoints and Flink's state in S3, with Flink's own file systems, on a server that speaks S3.
 */
@Tag("slow")
class ObjectStoreTest {
  private static final int LARGE = 12_000_000;
  private static final int DEMONSTRATIONS = 400;
  private static final int PATIENCE_SECONDS = 120;

  @RegisterExtension private static final JobHarness HARNESS = new JobHarness(4);

  private static Path directory;
  private static ObjectStoreServer server;

  @BeforeAll
  static void start() throws Exception {
    directory = HARNESS.directory();
    server = ObjectStoreServer.start(Files.createDirectory(directory.resolve("s3")));
  }

  @AfterAll
  static void stop() {
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
    Deployment deployment = HARNESS.deploy(factory.name());
    BlockingQueue<PolicyVersion> handed = new LinkedBlockingQueue<>();
    Path copies = directory.resolve("copies-" + factory);
    try (PolicyCheckpoints _ =
        PolicyCheckpoints.builder()
            .kafka(deployment.kafka())
            .directory(copies)
            .watch(handed::add)) {
      for (int version = 1; version <= 3; version++) {
        StagedFiles files = stage(store, version, weights(version));
        assertEquals(
            version - 1, store.latestVersion("policy"), "a staged version is not published");
        store.commit(files);
        store.commit(files);
        assertEquals(version, store.latestVersion("policy"));
        announce(deployment, files);
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

  private static void announce(Deployment deployment, StagedFiles files) throws IOException {
    deployment.send(
        Topic.POLICY_CHECKPOINTS,
        List.of(
            PolicyCheckpoint.newBuilder()
                .setModel("policy")
                .setVersion(files.version())
                .setUri(files.finalUri())
                .setManifestSha256(files.manifestSha256())
                .setIteration(files.version())
                .setStep(files.version())
                .setMetrics(Map.of())
                .setTime(InstantSource.system().instant())
                .build()));
  }

  /** The supervised job through a failure, then commands as a user runs them. */
  @Test
  void jobsLearnResumePublishRetireAndSampleFromTheStore() throws Exception {
    ObjectStoreServer.Factory factory = ObjectStoreServer.Factory.NATIVE;
    FileSystems.initialize(server.properties(factory));
    String root = "s3://" + ObjectStoreServer.BUCKET + "/jobs/checkpoints";
    Deployment jobs =
        HARNESS.deploy(
            "jobs",
            "checkpoints.directory=" + root,
            "checkpoints.keep=1",
            "checkpoints.keep-for=0s",
            "flink.state-directory=s3://" + ObjectStoreServer.BUCKET + "/jobs/flink",
            "flink.checkpoint-interval=500ms",
            "model.hidden-size=16",
            "model.heads=2",
            "model.ffn-size=32",
            "model.max-positions=128",
            "supervised.file=" + demonstrations(),
            "supervised.epochs=4",
            "supervised.batch-size=2",
            "supervised.sequence-length=128",
            "supervised.publish-every=400",
            "rollout.max-prompt-tokens=96",
            "rollout.max-tokens=16");
    Map<String, Double> learned =
        Deployment.summary(
            jobs.run(
                Job.SUPERVISED.graph(jobs.config(), true, new FailOnce("supervised-trainer", 900))),
            "supervised");
    assertEquals(1, learned.get("restarts"), "the failure never happened");
    assertEquals(4 * DEMONSTRATIONS, learned.get("examples"));

    List<PolicyCheckpoint> announced = jobs.read(Topic.POLICY_CHECKPOINTS);
    assertEquals(
        List.of(1L, 2L, 3L, 4L), announced.stream().map(PolicyCheckpoint::getVersion).toList());
    assertTrue(CheckpointStore.isRetired(announced.get(1).getUri()), "version 2 is still there");
    PolicyCheckpoint last = announced.getLast();
    assertEquals(root + "/policy/v000004", last.getUri());
    try (LocalCheckpoint got =
        new CheckpointCache(directory.resolve("cache").toString(), 0)
            .open(last.getUri(), last.getManifestSha256())) {
      assertTrue(CheckpointDirectory.verify(got.directory()).isSound());
    }

    List<String> settings = jobs.settings(server.settings(factory).toArray(String[]::new));
    jobs.send(Topic.PROMPTS, new DemoWorld(3, InstantSource.system()).prompts(0, 8));
    millrace(settings, "run", "rollout", "--bounded");
    List<Rollout> rollouts = jobs.read(Topic.ROLLOUTS);
    assertEquals(8, rollouts.size());
    TreeSet<Long> versions = new TreeSet<>();
    rollouts.forEach(rollout -> versions.add(rollout.getPolicyVersion()));
    assertEquals(List.of(4L), List.copyOf(versions));

    String verified = millrace(settings, "checkpoint", "verify", last.getUri());
    assertTrue(verified.startsWith(last.getUri() + " is sound"), verified);
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

  /** Runs a command, checks that it never prints the secret, and returns its standard output. */
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
    String printed = said + Files.readString(errors);
    assertEquals(0, status, String.join(" ", arguments) + "\n" + printed);
    assertFalse(printed.contains(ObjectStoreServer.SECRET), printed);
    if (Files.exists(log)) {
      assertFalse(
          Files.readString(log).contains(ObjectStoreServer.SECRET), "the secret is in " + log);
    }
    return said.strip();
  }
}
