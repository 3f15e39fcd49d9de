package io.millrace.jobs.supervised;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.jobs.Job;
import io.millrace.jobs.runtime.EdgeTap;
import io.millrace.jobs.testkit.Deployment;
import io.millrace.jobs.testkit.FailOnce;
import io.millrace.jobs.testkit.JobHarness;
import io.millrace.schemas.DeadLetter;
import io.millrace.schemas.Topic;
import io.millrace.world.DemoWorld;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.InstantSource;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.flink.api.common.JobExecutionResult;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/** The job as it is submitted, on a real broker and cluster. */
class SupervisedJobTest {

  private static final long SEED = 9;

  @RegisterExtension
  private static final JobHarness HARNESS =
      new JobHarness(
          4,
          "model.seed=" + SEED,
          "model.hidden-size=16",
          "model.heads=2",
          "model.ffn-size=32",
          "model.max-positions=128",
          "supervised.sequence-length=128",
          "supervised.batch-size=2",
          "supervised.learning-rate=1e-3",
          "supervised.publish-every=400");

  private static JobExecutionResult run(Deployment deployment) throws Exception {
    return run(deployment, EdgeTap.NONE);
  }

  /** The job fails once, when a demonstration is about to reach the trainer. */
  private static JobExecutionResult runFailingAt(Deployment deployment, long demonstration)
      throws Exception {
    return run(deployment, new FailOnce("supervised-trainer", demonstration));
  }

  private static JobExecutionResult run(Deployment deployment, EdgeTap tap) throws Exception {
    return deployment.run(Job.SUPERVISED.graph(deployment.config(), true, tap));
  }

  private static Map<String, Double> summary(JobExecutionResult result) {
    return Deployment.summary(result, "supervised");
  }

  private static Path file(String name, List<String> lines) throws IOException {
    return Files.write(HARNESS.directory().resolve(name), lines);
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
    Deployment forms = HARNESS.deploy("forms", "supervised.file=" + file, "supervised.epochs=3");
    JobExecutionResult result = run(forms);

    Map<String, Object> counts = new TreeMap<>(result.getAllAccumulatorResults());
    counts.values().removeIf(Long.valueOf(0)::equals);
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
    for (DeadLetter letter : forms.read(Topic.DEAD_LETTERS)) {
      assertEquals(file.toString(), letter.getTopic());
      letters.put(letter.getOffset(), letter.getReason());
    }
    assertEquals(
        Map.of(7L, "undecodable", 8L, "invalid", 9L, "no-answer", 10L, "too-long"), letters);
  }

  @Test
  void plainTextsAreLearnedWholeWhereAllTokensAre() throws Exception {
    Path file =
        file("texts.jsonl", List.of("{\"text\": \"" + "flour and water ".repeat(100) + "\"}"));
    Deployment texts =
        HARNESS.deploy(
            "texts",
            "supervised.file=" + file,
            "supervised.epochs=1",
            "supervised.loss=all-tokens");
    Map<String, Double> summary = summary(run(texts));
    assertEquals(1, summary.get("demonstrations"));
    assertTrue(summary.get("examples") > 2, summary.toString());
    // Every token but the first; the first of a later piece stands in the one before it too.
    assertEquals(summary.get("tokens") - summary.get("examples"), summary.get("learned_tokens"));
  }

  @Test
  void aRunOverAFileThatFailsInASecondPassEndsInTheSameBits() throws Exception {
    Path file = file("demonstrations.jsonl", demonstrationLines(300));
    Deployment straight =
        HARNESS.deploy("straight", "supervised.file=" + file, "supervised.epochs=4");
    Deployment killed = HARNESS.deploy("killed", "supervised.file=" + file, "supervised.epochs=4");
    Map<String, Double> expected = summary(run(straight));
    Map<String, Double> actual = summary(runFailingAt(killed, 1000));
    assertEquals(0, expected.remove("restarts"));
    assertEquals(1, actual.remove("restarts"), "the failure never happened, seed " + SEED);
    assertEquals(expected, actual);
    assertEquals(1200, actual.get("examples"));
    assertEquals(List.of(1L, 2L, 3L), List.copyOf(straight.announced().keySet()));
    assertEquals(straight.announced(), killed.announced());
  }

  @Test
  void aRunOverTheTopicThatFailsEndsInTheSameBits() throws Exception {
    Deployment straight = HARNESS.deploy("topic-straight", "supervised.epochs=2");
    Deployment killed = HARNESS.deploy("topic-killed", "supervised.epochs=2");
    for (Deployment deployment : List.of(straight, killed)) {
      deployment.send(
          Topic.DEMONSTRATIONS, new DemoWorld(SEED, InstantSource.system()).demonstrations(500));
    }
    Map<String, Double> expected = summary(run(straight));
    Map<String, Double> actual = summary(runFailingAt(killed, 450));
    assertEquals(0, expected.remove("restarts"));
    assertEquals(1, actual.remove("restarts"), "the failure never happened, seed " + SEED);
    assertEquals(expected, actual);
    assertEquals(1000, actual.get("examples"));
    assertEquals(straight.announced(), killed.announced());
  }
}
