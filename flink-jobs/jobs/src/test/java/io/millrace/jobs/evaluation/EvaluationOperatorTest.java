package io.millrace.jobs.evaluation;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.connectors.broker.EmbeddedBroker;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.jobs.evaluation.judge.RewardModelJudge;
import io.millrace.jobs.runtime.JobSettings;
import io.millrace.jobs.testkit.OperatorStates;
import io.millrace.schemas.Objective;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.Promotion;
import io.millrace.schemas.RewardCheckpoint;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.streaming.util.TwoInputStreamOperatorTestHarness;
import org.apache.flink.types.Either;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The operator in Flink's harness; the deadline is for a thread that hangs. */
@Timeout(120)
@SuppressWarnings("try") // Flink's harness may throw InterruptedException from close().
class EvaluationOperatorTest {

  /** A recorded state; see {@link #readsRecordedState}. */
  private static final Path GOLDEN = Path.of("src/test/resources/golden-state/evaluation.bin");

  @TempDir private static Path directory;
  private static EmbeddedBroker broker;
  private static EvaluationFixture fixture;

  @BeforeAll
  static void start() throws Exception {
    broker = EmbeddedBroker.start(directory.resolve("kafka"), 0);
    fixture =
        new EvaluationFixture(
            directory.resolve("run"),
            List.of("kafka.bootstrap-servers=" + broker.bootstrapServers()));
    try (TopicAdmin admin = new TopicAdmin(JobSettings.kafka(fixture.config()))) {
      admin.createAll(1, 1);
    }
  }

  @AfterAll
  static void stop() throws Exception {
    broker.close();
  }

  private static TwoInputStreamOperatorTestHarness<
          PolicyCheckpoint, Either<RewardCheckpoint, Promotion>, Promotion>
      harness(OperatorSubtaskState state) throws Exception {
    var harness =
        new TwoInputStreamOperatorTestHarness<
            PolicyCheckpoint, Either<RewardCheckpoint, Promotion>, Promotion>(
            new EvaluationOperator(fixture.config(), true), 1, 1, 0);
    harness.setup();
    if (state != null) {
      harness.initializeState(state);
    }
    harness.open();
    return harness;
  }

  private static OperatorSubtaskState snapshot(TwoInputStreamOperatorTestHarness<?, ?, ?> harness)
      throws Exception {
    harness.prepareSnapshotPreBarrier(1);
    return harness.snapshot(1, 1);
  }

  private static List<Promotion> verdicts(
      TwoInputStreamOperatorTestHarness<?, ?, Promotion> harness) {
    return harness.extractOutputValues().stream()
        .map(p -> Promotion.newBuilder(p).setTime(Instant.EPOCH).build())
        .toList();
  }

  @Test
  void whatWaitsInAStateIsJudgedAfterIt() throws Exception {
    List<Promotion> expected;
    OperatorSubtaskState state;
    try (var run = harness(null)) {
      for (long version = 1; version <= 3; version++) {
        run.processElement1(new StreamRecord<>(fixture.policy(version)));
      }
      for (Objective objective : Objective.values()) {
        run.processElement2(new StreamRecord<>(Either.Left(fixture.rewardModel(objective, 1))));
      }
      state = snapshot(run);
      run.endInput1();
      run.endInput2();
      expected = verdicts(run);
      assertEquals(3, expected.size());
    }
    try (var resumed = harness(state)) {
      resumed.endInput1();
      resumed.endInput2();
      assertEquals(expected, verdicts(resumed));
    }
  }

  @Test
  void aStateOfOtherHeldOutDataIsRefused() throws Exception {
    OperatorSubtaskState state;
    try (var run = harness(null)) {
      state = snapshot(run);
    }
    Path prompts = Path.of(fixture.config().section(EvaluationSection.class).prompts());
    List<String> lines = Files.readAllLines(prompts);
    try {
      Files.write(prompts, lines.subList(1, lines.size()));
      IOException e = assertThrows(IOException.class, () -> harness(state).close());
      assertTrue(e.getMessage().contains("bring them back"), e.getMessage());
    } finally {
      Files.write(prompts, lines);
    }
  }

  /** Held-out data that does not depend on the demo world. */
  private static EvaluationFixture golden(String name) throws IOException {
    Path prompts = directory.resolve(name + "-prompts.jsonl");
    Path demonstrations = directory.resolve(name + "-demonstrations.jsonl");
    List<String> lines = new ArrayList<>();
    for (String word : List.of("bread", "tea", "soup")) {
      lines.add(
          "{\"promptId\":\"%s\",\"dialogue\":[{\"role\":\"USER\",\"content\":\"How is %s made?\"}]}"
              .formatted(word, word));
    }
    Files.write(prompts, lines);
    Files.write(
        demonstrations,
        List.of(
            "{\"prompt\":\"How is jam made?\",\"completion\":\"Boil it.\"}",
            "{\"prompt\":\"How is rice made?\",\"completion\":\"Boil it too.\"}"));
    return new EvaluationFixture(
        directory.resolve(name),
        List.of(
            "evaluation.batch-size=1",
            "evaluation.prompts=" + prompts,
            "evaluation.demonstrations=" + demonstrations));
  }

  /** A state with all parts: known versions, one measured in part, verdicts, queues. */
  private static byte[] someState() throws Exception {
    RewardModelJudge judge = new RewardModelJudge();
    judge.configure(Map.of());
    try (EvaluatorRun run = new EvaluatorRun(golden("writer"), judge)) {
      run.offerRewardModels(1).offer(1, 2, 3).finish();
      run.offer(4, 5);
      // All responses are sampled, and one demonstration is measured.
      for (int piece = 0; piece < 5; piece++) {
        assertTrue(run.evaluator.evaluateNext(true));
      }
      run.offerRewardModels(2);
      return run.stateOfOperator();
    }
  }

  /**
   * Later versions of the operator must read this state. A run with {@code
   * -Dmillrace.write-docs=true} records the file if it is missing.
   */
  @Test
  void readsRecordedState() throws Exception {
    if (Boolean.getBoolean("millrace.write-docs") && !Files.exists(GOLDEN)) {
      Files.write(GOLDEN, someState());
    }
    EvaluationOperator operator = new EvaluationOperator(golden("reader").config(), true);
    // The reader fails unless it understands the whole state.
    OperatorStates.readAndWritten(operator, Files.readAllBytes(GOLDEN));
  }

  @Test
  void readsAllThatItWrites() throws Exception {
    byte[] state = someState();
    EvaluationOperator operator = new EvaluationOperator(golden("again").config(), true);
    assertArrayEquals(state, OperatorStates.readAndWritten(operator, state));
  }
}
