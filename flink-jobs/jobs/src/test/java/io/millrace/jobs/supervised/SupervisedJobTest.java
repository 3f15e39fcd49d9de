package io.millrace.jobs.supervised;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.connectors.broker.EmbeddedBroker;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.jobs.Job;
import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.InitialModel;
import io.millrace.jobs.runtime.EdgeTap;
import io.millrace.jobs.runtime.JobSettings;
import io.millrace.jobs.runtime.LocalCluster;
import io.millrace.jobs.testkit.FailOnce;
import io.millrace.schemas.DeadLetter;
import io.millrace.schemas.Demonstration;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.Topic;
import io.millrace.world.DemoWorld;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.apache.flink.api.common.JobExecutionResult;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The job as it is submitted, on a real broker and cluster. */
class SupervisedJobTest {

  private static final long SEED = 9;

  @TempDir private static Path directory;
  private static EmbeddedBroker broker;
  private static LocalCluster cluster;

  @BeforeAll
  static void start() throws Exception {
    broker = EmbeddedBroker.start(directory.resolve("kafka"), 0);
    cluster = LocalCluster.start(4);
  }

  @AfterAll
  static void stop() throws Exception {
    cluster.close();
    broker.close();
  }

  /** A run with topics and checkpoints of its own. */
  private record Run(String name, MillraceConfig config) {

    static Run of(String name, String... settings) throws IOException {
      List<String> all =
          new ArrayList<>(
              List.of(
                  "kafka.bootstrap-servers=" + broker.bootstrapServers(),
                  "kafka.topic-prefix=" + name + ".",
                  "checkpoints.directory=" + directory.resolve(name),
                  "flink.state-directory=" + directory.resolve(name + "-flink"),
                  "flink.checkpoint-interval=100ms",
                  "flink.restart-delay=50ms",
                  "model.seed=" + SEED,
                  "model.hidden-size=16",
                  "model.heads=2",
                  "model.ffn-size=32",
                  "model.max-positions=128",
                  "supervised.sequence-length=128",
                  "supervised.batch-size=2",
                  "supervised.learning-rate=1e-3",
                  "supervised.publish-every=400"));
      all.addAll(List.of(settings));
      MillraceConfig config = InitialModel.ensure(ConfigLoader.load(Optional.empty(), all));
      try (TopicAdmin admin = new TopicAdmin(JobSettings.kafka(config))) {
        admin.createAll(1, 1);
      }
      return new Run(name, config);
    }

    KafkaSettings kafka() {
      return JobSettings.kafka(config);
    }

    JobExecutionResult run() throws Exception {
      return run(EdgeTap.NONE);
    }

    /** The run fails once, when a demonstration is about to be learned from. */
    JobExecutionResult runFailingAt(long demonstration) throws Exception {
      return run(new FailOnce("supervised-trainer", demonstration));
    }

    private JobExecutionResult run(EdgeTap tap) throws Exception {
      return cluster.await(cluster.submit(Job.SUPERVISED.graph(config, true, tap)));
    }

    /** Digests of what was announced, by version. */
    Map<Long, String> announced() throws IOException {
      Map<Long, String> digests = new TreeMap<>();
      try (RecordReader<PolicyCheckpoint> reader =
          RecordReader.fromEarliest(kafka(), Topic.POLICY_CHECKPOINTS)) {
        reader.readToEnd(
            entry -> {
              PolicyCheckpoint checkpoint = entry.record().orElseThrow();
              digests.put(checkpoint.getVersion(), checkpoint.getManifestSha256());
            });
      }
      return digests;
    }
  }

  @SuppressWarnings("unchecked")
  private static Map<String, Double> summary(JobExecutionResult result) {
    return (Map<String, Double>) result.getAllAccumulatorResults().get("supervised");
  }

  private static Path file(String name, List<String> lines) throws IOException {
    return Files.write(directory.resolve(name), lines);
  }

  private static List<String> demonstrationLines(int count) {
    return new DemoWorld(SEED, InstantSource.system())
        .demonstrations(count).stream()
            .map(
                d ->
                    "{\"prompt\": \"%s\", \"completion\": \"%s\"}"
                        .formatted(
                            d.getDialogue().get(0).getContent(),
                            d.getDialogue().get(1).getContent()))
            .toList();
  }

  @Test
  void aFileOfEveryFormIsLearnedAndBadLinesAreDeadLettersOnce() throws Exception {
    Path file =
        file(
            "forms.jsonl",
            List.of(
                "{\"messages\": [{\"role\": \"system\", \"content\": \"Be kind.\"}, {\"role\":"
                    + " \"user\", \"content\": \"Hi\"}, {\"role\": \"assistant\", \"content\":"
                    + " \"Hello\"}]}",
                "",
                "{\"prompt\": \"Hi\", \"completion\": \"Hello\"}",
                "{\"instruction\": \"Add\", \"input\": \"1 1\", \"output\": \"2\"}",
                "{\"instruction\": \"Say hi\", \"output\": \"hi\"}",
                "{\"id\": \"own\", \"dialogue\": [{\"role\": \"USER\", \"content\": \"a\"},"
                    + " {\"role\": \"ASSISTANT\", \"content\": \"b\"}]}",
                "{\"prompt\": \"Hi\"",
                "{\"prompt\": \"Hi\"}",
                "{\"text\": \"Once upon a time\"}",
                "{\"prompt\": \"" + "far ".repeat(200) + "\", \"completion\": \"x\"}"));
    Run run = Run.of("forms", "supervised.file=" + file, "supervised.epochs=3");
    JobExecutionResult result = run.run();

    Map<String, Object> counts = new TreeMap<>(result.getAllAccumulatorResults());
    counts.keySet().removeIf(name -> !name.startsWith("topics/"));
    assertEquals(
        Map.of(
            "topics/demonstrations/accepted", 5L,
            "topics/demonstrations/dead-letters/undecodable", 1L,
            "topics/demonstrations/dead-letters/invalid", 1L,
            "topics/demonstrations/dead-letters/no-answer", 1L,
            "topics/demonstrations/dead-letters/too-long", 1L),
        counts);
    assertEquals(15, summary(result).get("examples"));
    Map<Long, String> letters = new TreeMap<>();
    try (RecordReader<DeadLetter> reader =
        RecordReader.fromEarliest(run.kafka(), Topic.DEAD_LETTERS)) {
      reader.readToEnd(
          entry -> {
            DeadLetter letter = entry.record().orElseThrow();
            assertEquals(file.toString(), letter.getTopic());
            letters.put(letter.getOffset(), letter.getReason());
          });
    }
    assertEquals(
        Map.of(7L, "undecodable", 8L, "invalid", 9L, "no-answer", 10L, "too-long"), letters);
  }

  @Test
  void plainTextsAreLearnedWholeWhereAllTokensAre() throws Exception {
    Path file =
        file("texts.jsonl", List.of("{\"text\": \"" + "flour and water ".repeat(100) + "\"}"));
    Run run =
        Run.of(
            "texts",
            "supervised.file=" + file,
            "supervised.epochs=1",
            "supervised.loss=all-tokens");
    Map<String, Double> summary = summary(run.run());
    assertEquals(1, summary.get("demonstrations"));
    assertTrue(summary.get("examples") > 2, summary.toString());
    // Every token but the first; the first of a later piece stands in the one before it too.
    assertEquals(summary.get("tokens") - summary.get("examples"), summary.get("learned_tokens"));
  }

  @Test
  void aRunOverAFileThatFailsInASecondPassEndsInTheSameBits() throws Exception {
    Path file = file("demonstrations.jsonl", demonstrationLines(300));
    Run straight = Run.of("straight", "supervised.file=" + file, "supervised.epochs=4");
    Run killed = Run.of("killed", "supervised.file=" + file, "supervised.epochs=4");
    Map<String, Double> expected = new TreeMap<>(summary(straight.run()));
    Map<String, Double> actual = new TreeMap<>(summary(killed.runFailingAt(1000)));
    assertEquals(0, expected.remove("restarts"));
    assertEquals(1, actual.remove("restarts"), "the failure never happened, seed " + SEED);
    assertEquals(expected, actual);
    assertEquals(1200, actual.get("examples"));
    assertEquals(List.of(1L, 2L, 3L), List.copyOf(straight.announced().keySet()));
    assertEquals(straight.announced(), killed.announced());
  }

  @Test
  void aRunOverTheTopicThatFailsEndsInTheSameBits() throws Exception {
    Run straight = Run.of("topic-straight", "supervised.epochs=2");
    Run killed = Run.of("topic-killed", "supervised.epochs=2");
    for (Run run : List.of(straight, killed)) {
      try (RecordWriter writer = new RecordWriter(run.kafka())) {
        for (Demonstration demonstration :
            new DemoWorld(SEED, InstantSource.system()).demonstrations(500)) {
          writer.send(Topic.DEMONSTRATIONS, demonstration);
        }
        writer.flush();
      }
    }
    Map<String, Double> expected = new TreeMap<>(summary(straight.run()));
    Map<String, Double> actual = new TreeMap<>(summary(killed.runFailingAt(450)));
    assertEquals(0, expected.remove("restarts"));
    assertEquals(1, actual.remove("restarts"), "the failure never happened, seed " + SEED);
    assertEquals(expected, actual);
    assertEquals(1000, actual.get("examples"));
    assertEquals(straight.announced(), killed.announced());
  }
}
