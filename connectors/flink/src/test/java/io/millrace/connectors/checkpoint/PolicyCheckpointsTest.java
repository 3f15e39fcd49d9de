package io.millrace.connectors.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.connectors.TestBroker;
import io.millrace.connectors.checkpoint.store.CheckpointStore;
import io.millrace.connectors.checkpoint.store.InMemoryStore;
import io.millrace.connectors.checkpoint.store.Retention;
import io.millrace.connectors.checkpoint.store.Retirement;
import io.millrace.connectors.checkpoint.store.StagedFiles;
import io.millrace.connectors.checkpoint.store.StoreUnderTest;
import io.millrace.connectors.checkpoint.store.TestCheckpoint;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.Promotion;
import io.millrace.schemas.Topic;
import io.millrace.schemas.Verdict;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class PolicyCheckpointsTest {
  private static final int PATIENCE_SECONDS = 30;

  @TempDir Path root;
  @TempDir Path copies;

  private final BlockingQueue<PolicyVersion> delivered = new LinkedBlockingQueue<>();
  private KafkaSettings kafka;
  private CheckpointStore store;

  @BeforeEach
  void open() throws IOException {
    kafka = TestBroker.freshTopics();
    open(StoreUnderTest.LOCAL);
  }

  private void open(StoreUnderTest kind) {
    store = new CheckpointStore(kind.root(root), root.resolve("scratch").toString());
  }

  private PolicyCheckpoints.Builder builder() {
    return PolicyCheckpoints.builder().kafka(kafka).directory(copies);
  }

  private static String sha256(Path file) throws IOException {
    return TestCheckpoint.sha256(Files.readString(file));
  }

  private static void write(Path directory, long version) throws IOException {
    Path weights = Files.writeString(directory.resolve("model.safetensors"), "weights " + version);
    Files.writeString(
        directory.resolve(CheckpointStore.MANIFEST),
        """
        {"version": %d, "files": {"model.safetensors": {"sha256": "%s", "size": 9}}}
        """
            .formatted(version, sha256(weights)));
  }

  private void publish(String model, long... versions) throws IOException {
    try (RecordWriter writer = new RecordWriter(kafka)) {
      for (long version : versions) {
        StagedFiles files = store.stage(model, version, directory -> write(directory, version));
        store.commit(files);
        writer.send(
            Topic.POLICY_CHECKPOINTS,
            PolicyCheckpoint.newBuilder()
                .setModel(model)
                .setVersion(version)
                .setUri(files.finalUri())
                .setManifestSha256(files.manifestSha256())
                .setIteration(version)
                .setStep(version)
                .setMetrics(Map.of())
                .setTime(Instant.EPOCH)
                .build());
      }
    }
  }

  private long next() throws InterruptedException {
    PolicyVersion policy = delivered.poll(PATIENCE_SECONDS, TimeUnit.SECONDS);
    return policy == null ? -1 : policy.version();
  }

  @ParameterizedTest
  @EnumSource(names = {"LOCAL", "OBJECTS"})
  void deliversTheLatestVersionThenAllLaterOnes(StoreUnderTest kind) throws Exception {
    open(kind);
    publish("policy", 1, 2, 3);
    publish("other", 9);
    try (PolicyCheckpoints _ = builder().watch(delivered::add)) {
      assertEquals(3, next());
      publish("policy", 4, 5);
      publish("other", 10);
      publish("policy", 6);
      assertEquals(List.of(4L, 5L, 6L), List.of(next(), next(), next()));
    }
    assertTrue(delivered.isEmpty());
    // The two newest copies stay.
    assertEquals("weights 6", Files.readString(copies.resolve("policy-v000006/model.safetensors")));
    assertTrue(Files.exists(copies.resolve("policy-v000005")));
    assertFalse(Files.exists(copies.resolve("policy-v000004")));
  }

  /** Announces a verdict on one version, and the version to serve. */
  private void verdict(Verdict verdict, long evaluated, long serve) throws IOException {
    try (RecordWriter writer = new RecordWriter(kafka)) {
      writer.send(
          Topic.PROMOTIONS,
          Promotion.newBuilder()
              .setModel("policy")
              .setVersion(serve)
              .setVerdict(verdict)
              .setEvaluated(evaluated)
              .setUri(serve == 0 ? "" : store.uri("policy", serve))
              .setManifestSha256(
                  serve == 0
                      ? ""
                      : sha256(store.directory("policy", serve).resolve(CheckpointStore.MANIFEST)))
              .setBefore(serve - 1)
              .setMetrics(Map.of("kl", (double) evaluated))
              .build());
    }
  }

  @Test
  void followsPromotionsAndRollBacks() throws Exception {
    publish("policy", 1, 2, 3, 4);
    verdict(Verdict.HOLD, 1, 0);
    try (PolicyCheckpoints _ = builder().promotedOnly().watch(delivered::add)) {
      verdict(Verdict.PROMOTE, 2, 2);
      PolicyVersion first = delivered.poll(PATIENCE_SECONDS, TimeUnit.SECONDS);
      assertEquals(2, first.version());
      assertEquals(Map.of("kl", 2.0), first.announcement().getMetrics());
      verdict(Verdict.HOLD, 3, 2);
      verdict(Verdict.PROMOTE, 4, 4);
      assertEquals(4, next());
      verdict(Verdict.ROLL_BACK, 4, 2);
      PolicyVersion back = delivered.poll(PATIENCE_SECONDS, TimeUnit.SECONDS);
      assertEquals(2, back.version());
      assertEquals("weights 2", Files.readString(back.directory().resolve("model.safetensors")));
      // A version that differs from its announcement is skipped here too.
      publish("policy", 5);
      Files.writeString(store.directory("policy", 5).resolve("model.safetensors"), "weights ?");
      verdict(Verdict.PROMOTE, 5, 5);
      publish("policy", 6);
      verdict(Verdict.PROMOTE, 6, 6);
      assertEquals(6, next());
    }
    assertTrue(delivered.isEmpty());
    assertEquals(Set.of(6L, 5L), PromotedVersions.of(kafka, "policy"));
    assertEquals(Set.of(), PromotedVersions.of(kafka, "other"));
    // A process that starts later gets only the served version.
    verdict(Verdict.HOLD, 7, 6);
    try (PolicyCheckpoints _ = builder().promotedOnly().watch(delivered::add)) {
      assertEquals(6, next());
    }
    assertTrue(delivered.isEmpty());
  }

  @Test
  void skipsOutdatedVersionsOnRequest() throws Exception {
    publish("policy", 1);
    CountDownLatch busy = new CountDownLatch(1);
    CountDownLatch free = new CountDownLatch(1);
    try (PolicyCheckpoints _ =
        builder()
            .skipOutdated()
            .watch(
                policy -> {
                  delivered.add(policy);
                  busy.countDown();
                  awaitQuietly(free);
                })) {
      busy.await();
      publish("policy", 2, 3, 4);
      free.countDown();
      assertEquals(List.of(1L, 4L), List.of(next(), next()));
    }
  }

  private static void awaitQuietly(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  @Test
  void skipsVersionsThatDifferFromTheirAnnouncement() throws Exception {
    publish("policy", 1);
    try (PolicyCheckpoints _ = builder().watch(delivered::add)) {
      assertEquals(1, next());
      StagedFiles files = store.stage("policy", 2, directory -> write(directory, 2));
      store.commit(files);
      Files.writeString(store.directory("policy", 2).resolve("model.safetensors"), "weights ?");
      try (RecordWriter writer = new RecordWriter(kafka)) {
        for (String uri : List.of(files.finalUri(), "file:///nowhere", "s3://bucket/x")) {
          writer.send(
              Topic.POLICY_CHECKPOINTS,
              PolicyCheckpoint.newBuilder()
                  .setModel("policy")
                  .setVersion(2)
                  .setUri(uri)
                  .setManifestSha256(files.manifestSha256())
                  .setIteration(2)
                  .setStep(2)
                  .setMetrics(Map.of())
                  .setTime(Instant.EPOCH)
                  .build());
        }
      }
      publish("policy", 3);
      assertEquals(3, next());
    }
    try (var entries = Files.list(copies)) {
      assertEquals(
          List.of("policy-v000001", "policy-v000003"),
          entries.map(entry -> entry.getFileName().toString()).sorted().toList());
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"LOCAL", "OBJECTS"})
  void continuesWithTheNewestWhenVersionsWereRetired(StoreUnderTest kind) throws Exception {
    open(kind);
    publish("policy", 1, 2);
    CountDownLatch busy = new CountDownLatch(1);
    CountDownLatch free = new CountDownLatch(1);
    try (PolicyCheckpoints _ =
        builder()
            .watch(
                policy -> {
                  delivered.add(policy);
                  busy.countDown();
                  awaitQuietly(free);
                })) {
      busy.await();
      // While the listener handles version 2, others are published and retired.
      publish("policy", 3, 4, 5);
      Retirement retirement =
          new Retirement(store, new Retention(1, 0, Duration.ZERO, List.of()), Clock.systemUTC());
      assertEquals(List.of(2L, 3L, 4L), retirement.retire("policy", 5));
      free.countDown();
      assertEquals(List.of(2L, 5L), List.of(next(), next()));
    }
    assertTrue(delivered.isEmpty());
    try (var entries = Files.list(copies)) {
      assertEquals(
          List.of("policy-v000002", "policy-v000005"),
          entries.map(entry -> entry.getFileName().toString()).sorted().toList());
    }
  }

  @Test
  void retriesWhenAStoreFails() throws Exception {
    open(StoreUnderTest.OBJECTS);
    publish("policy", 1);
    InMemoryStore.of(store.toString()).fail(1, InMemoryStore.Fault.ERROR_BEFORE);
    try (PolicyCheckpoints _ = builder().watch(delivered::add)) {
      assertEquals(1, next());
    }
    assertTrue(InMemoryStore.of(store.toString()).mend(), "the failure never happened");
    assertEquals("weights 1", Files.readString(copies.resolve("policy-v000001/model.safetensors")));
  }

  @Test
  void namesAMissingProperty() {
    IllegalStateException e =
        assertThrows(
            IllegalStateException.class,
            () -> PolicyCheckpoints.builder().kafka(kafka).watch(delivered::add));
    assertTrue(e.getMessage().startsWith("directory is not set"), e.getMessage());
    IllegalArgumentException none =
        assertThrows(IllegalArgumentException.class, () -> builder().keep(0));
    assertTrue(none.getMessage().startsWith("keep is 0"), none.getMessage());
  }
}
