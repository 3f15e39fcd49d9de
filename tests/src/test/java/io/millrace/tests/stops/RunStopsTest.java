package io.millrace.tests.stops;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.connectors.broker.EmbeddedBroker;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.Topic;
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
    List<String> arguments = new ArrayList<>(List.of("run", "rollout"));
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
            "rollout.max-prompt-tokens=120")) {
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

  private static List<Prompt> prompts(int count) {
    return new DemoWorld(1, InstantSource.fixed(Instant.parse("2026-01-01T00:00:00Z")))
        .prompts(0, count);
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
    assertTrue(refusal.contains("model.initial (digest) was "), refusal);
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
