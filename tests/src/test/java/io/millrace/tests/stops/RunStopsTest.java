package io.millrace.tests.stops;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.connectors.broker.EmbeddedBroker;
import io.millrace.connectors.checkpoint.store.CheckpointStore;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.jobs.Job;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Objective;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.Topic;
import io.millrace.world.Annotators;
import io.millrace.world.DemoWorld;
import java.nio.file.Path;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code millrace run}, stopped and killed in the middle of its work and started again. */
class RunStopsTest {

  private static final InstantSource CLOCK =
      InstantSource.fixed(Instant.parse("2026-01-01T00:00:00Z"));
  private static final int PROMPTS_PER_VERSION = 25;

  @TempDir private Path directory;
  private EmbeddedBroker broker;
  private KafkaSettings kafka;
  private int started;

  @BeforeEach
  void startBroker() throws Exception {
    broker = EmbeddedBroker.start(directory.resolve("kafka"), 0);
    kafka = KafkaSettings.of(broker.bootstrapServers());
    try (TopicAdmin admin = new TopicAdmin(kafka)) {
      admin.createAll(1, 1);
    }
  }

  @AfterEach
  void stopBroker() throws Exception {
    broker.close();
  }

  private MillraceProcess run(String... more) throws Exception {
    return run(Job.ROLLOUT, more);
  }

  private MillraceProcess run(Job job, String... more) throws Exception {
    List<String> arguments = new ArrayList<>(List.of("run", job.id()));
    arguments.addAll(List.of(more));
    for (String setting :
        List.of(
            "kafka.bootstrap-servers=" + kafka.bootstrapServers(),
            "checkpoints.directory=" + directory.resolve("checkpoints"),
            "flink.state-directory=" + directory.resolve("flink"),
            "flink.checkpoint-interval=300ms",
            "model.hidden-size=16",
            "model.layers=1",
            "model.ffn-size=32",
            "rollout.max-tokens=8",
            "rollout.max-prompt-tokens=120",
            "reward-model.batch-size=20",
            "rejection-sampling.samples-per-prompt=4",
            "rejection-sampling.prompts-per-version=" + PROMPTS_PER_VERSION,
            "rejection-sampling.batch-size=1")) {
      arguments.addAll(List.of("--set", setting));
    }
    started++;
    return MillraceProcess.start(directory.resolve("run-" + started + ".out"), arguments);
  }

  private void send(List<Prompt> prompts) throws Exception {
    try (RecordWriter writer = new RecordWriter(kafka)) {
      for (Prompt prompt : prompts) {
        writer.send(Topic.PROMPTS, prompt);
      }
    }
  }

  private List<String> answered() throws Exception {
    List<String> ids = new ArrayList<>();
    try (RecordReader<Rollout> reader = RecordReader.fromEarliest(kafka, Topic.ROLLOUTS)) {
      reader.readToEnd(entry -> ids.add(entry.record().orElseThrow().getPromptId()));
    }
    return ids;
  }

  /** Offset of the topic prompts that a Flink checkpoint of rejection-sampling covers. */
  private long consumed() throws Exception {
    try (TopicAdmin admin = new TopicAdmin(kafka)) {
      return admin
          .groupPositions(kafka.topicPrefix() + Job.REJECTION_SAMPLING.id(), Topic.PROMPTS)
          .values()
          .stream()
          .mapToLong(Long::longValue)
          .sum();
    }
  }

  /** Prompts that each announced version has learned from, by its manifest. */
  private List<Long> published() throws Exception {
    List<Long> prompts = new ArrayList<>();
    try (RecordReader<PolicyCheckpoint> reader =
        RecordReader.fromEarliest(kafka, Topic.POLICY_CHECKPOINTS)) {
      List<String> uris = new ArrayList<>();
      reader.readToEnd(entry -> uris.add(entry.record().orElseThrow().getUri()));
      for (String uri : uris) {
        try (CheckpointDirectory version = CheckpointDirectory.open(CheckpointStore.resolve(uri))) {
          prompts.add(version.manifest().orElseThrow().records().get("prompts"));
        }
      }
    }
    return prompts;
  }

  private static List<Prompt> prompts(int count) {
    return new DemoWorld(1, CLOCK).prompts(0, count);
  }

  @Test
  void everyPromptIsAnsweredOnceOverStopsOfBothKinds() throws Exception {
    assertAnsweredOnce(300, 2);
  }

  @Tag("slow")
  @Test
  void thousandsOfPromptsAreAnsweredOnceOverFiveStops() throws Exception {
    assertAnsweredOnce(3000, 5);
  }

  private void assertAnsweredOnce(int count, int stops) throws Exception {
    List<Prompt> prompts = prompts(count);
    int part = count / (stops + 1);
    try (RecordReader<Rollout> rollouts = RecordReader.fromEarliest(kafka, Topic.ROLLOUTS)) {
      AtomicInteger seen = new AtomicInteger();
      for (int i = 0; i <= stops; i++) {
        MillraceProcess process = run();
        send(prompts.subList(i * part, (i + 1) * part));
        // The first responses of a part are committed while most of the part is in flight.
        int wanted = i == stops ? count : i * part + 1;
        process.await(
            wanted + " responses",
            () -> {
              rollouts.readToEnd(entry -> seen.incrementAndGet());
              return seen.get() >= wanted;
            });
        String output = process.output();
        if (i % 2 == 0) {
          process.terminate();
          output = process.output();
          assertTrue(output.contains("rollout stopped with savepoint"), output);
        } else {
          process.kill();
        }
        String expected =
            i == 0
                ? "rollout starts afresh"
                : "rollout continues from its " + (i % 2 == 1 ? "savepoint" : "Flink checkpoint");
        assertTrue(output.contains(expected), output);
      }
    }
    List<String> answered = answered();
    assertEquals(count, new HashSet<>(answered).size(), "prompts without response");
    assertEquals(count, answered.size(), "responses");
  }

  /** Prompts wait until there are enough for a version; a stop must not lose them. */
  @Tag("slow")
  @Test
  void promptsThatWaitForAVersionSurviveStopsOfBothKinds() throws Exception {
    DemoWorld world = new DemoWorld(1, CLOCK);
    Annotators annotators = new Annotators(world, 1, CLOCK);
    try (RecordWriter writer = new RecordWriter(kafka)) {
      for (Objective objective : Objective.values()) {
        for (Judgment judgment : annotators.archive(objective, 20)) {
          writer.send(Topic.JUDGMENTS, judgment);
        }
      }
    }
    assertEquals(0, run(Job.REWARD_MODEL, "--bounded").end());
    List<Prompt> prompts = prompts(4 * PROMPTS_PER_VERSION);
    int part = prompts.size() / 5;
    for (int i = 0; i < 5; i++) {
      MillraceProcess process = run(Job.REJECTION_SAMPLING);
      send(prompts.subList(i * part, (i + 1) * part));
      // Each part is smaller than a version: some of its prompts wait at every stop.
      int versions = (i + 1) * part / PROMPTS_PER_VERSION;
      process.await(versions + " versions", () -> published().size() == versions);
      int sent = (i + 1) * part;
      process.await(sent + " consumed prompts", () -> consumed() >= sent);
      if (i % 2 == 0) {
        process.terminate();
      } else {
        process.kill();
      }
    }
    assertEquals(List.of(25L, 50L, 75L, 100L), published());
  }

  @Tag("slow")
  @Test
  void aStateThatDoesNotFitIsRefusedAndLeftAlone() throws Exception {
    send(prompts(20));
    MillraceProcess first = run();
    first.await("responses", () -> answered().size() == 20);
    first.terminate();

    MillraceProcess bounded = run("--bounded");
    assertEquals(2, bounded.end());
    assertTrue(bounded.output().contains("the last run of rollout was endless"), bounded.output());

    MillraceProcess seed = run("--set", "model.seed=2", "--set", "model.name=other");
    assertEquals(2, seed.end());
    String refusal = seed.output();
    assertTrue(refusal.contains("cannot continue from its savepoint"), refusal);
    assertTrue(refusal.contains("model.name was policy and is other now"), refusal);
    assertTrue(refusal.contains("the files of model.initial "), refusal);
    assertTrue(refusal.contains("--fresh"), refusal);

    MillraceProcess warmer = run("--set", "rollout.temperature=0.5");
    warmer.await(
        "the changed option",
        () -> warmer.output().contains("rollout.temperature was 1.0 and is 0.5 now"));
    assertTrue(warmer.output().contains("rollout continues from its savepoint"));
    warmer.terminate();

    MillraceProcess fresh = run("--fresh", "--set", "model.seed=2");
    fresh.await("the start", () -> fresh.output().contains("rollout starts afresh: --fresh"));
    assertFalse(fresh.output().contains("continues from"), fresh.output());
    fresh.kill();
  }
}
