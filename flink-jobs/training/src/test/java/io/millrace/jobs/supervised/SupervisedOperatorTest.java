package io.millrace.jobs.supervised;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.connectors.broker.EmbeddedBroker;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.InitialModel;
import io.millrace.jobs.runtime.JobSettings;
import io.millrace.jobs.testkit.OperatorRun;
import io.millrace.jobs.testkit.OperatorStates;
import io.millrace.schemas.Demonstration;
import io.millrace.schemas.Role;
import io.millrace.schemas.Turn;
import io.millrace.schemas.WithdrawnBy;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.IntStream;
import org.apache.avro.generic.GenericRecord;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.runtime.execution.SuppressRestartsException;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The operator in Flink's harness, on a tiny model. */
@SuppressWarnings("try") // Flink's harness may throw InterruptedException from close().
class SupervisedOperatorTest {

  /** A recorded state; see {@link #readsRecordedState}. */
  private static final Path GOLDEN = Path.of("src/test/resources/golden-state/supervised.bin");

  /** Demonstrations that went into the recorded state: not a multiple of a batch. */
  private static final int GOLDEN_DEMONSTRATIONS = 23;

  @TempDir private static Path directory;
  private static EmbeddedBroker broker;

  @BeforeAll
  static void start() throws Exception {
    broker = EmbeddedBroker.start(directory.resolve("kafka"), 0);
    try (TopicAdmin admin = new TopicAdmin(JobSettings.kafka(config("start")))) {
      admin.createAll(1, 1);
    }
  }

  @AfterAll
  static void stop() throws Exception {
    broker.close();
  }

  /** A configuration with a checkpoint store of its own; the run makes two passes. */
  private static MillraceConfig config(String store, String... settings) throws IOException {
    List<String> all =
        new ArrayList<>(
            List.of(
                "kafka.bootstrap-servers=" + broker.bootstrapServers(),
                "checkpoints.directory=" + directory.resolve(store),
                "model.seed=13",
                "supervised.sequence-length=64",
                "supervised.batch-size=2",
                "supervised.learning-rate=1e-3",
                "supervised.epochs=2",
                "supervised.publish-every=10"));
    all.addAll(OperatorRun.TINY_MODEL);
    all.addAll(List.of(settings));
    return InitialModel.ensure(ConfigLoader.load(Optional.empty(), all));
  }

  private static final class Run extends OperatorRun<Demonstration> {

    Run(MillraceConfig config, OperatorSubtaskState state) throws Exception {
      super(() -> new SupervisedOperator(config, true), state);
    }

    Map<String, Double> summary() {
      return summary("supervised");
    }
  }

  private static List<Demonstration> demonstrations(int from, int to) {
    return IntStream.range(from, to)
        .mapToObj(
            i ->
                Demonstration.newBuilder()
                    .setId("d" + i)
                    .setDialogue(
                        List.of(
                            new Turn(Role.USER, "how is " + i),
                            new Turn(Role.ASSISTANT, "like " + i * i)))
                    .setSource("test")
                    .setTime(Instant.EPOCH)
                    .build())
        .toList();
  }

  @Test
  void aRunThatDiesAndResumesEndsInTheSameBits() throws Exception {
    try (Run straight = new Run(config("straight"), null);
        Run killed = new Run(config("killed"), null)) {
      straight.feed(demonstrations(0, 41)).end();
      killed.feed(demonstrations(0, 3)).dieAfter(demonstrations(3, 8));
      killed.feed(demonstrations(3, 26)).dieAfter(demonstrations(26, 37));
      killed.feed(demonstrations(26, 41)).end();
      assertEquals(straight.published, killed.published);
      assertEquals(straight.lineage, killed.lineage);
      assertEquals(straight.summary(), killed.summary());
      assertEquals(41, straight.summary().get("demonstrations"));
      assertEquals(82, straight.summary().get("examples"), "two passes");
      assertEquals("[d0, d1, d2, d3, d4, d5, d6, d7]", straight.learnedBy(1).toString());
      assertEquals(41, Set.copyOf(straight.learnedBy(5)).size(), "the second pass has all");
      assertEquals(List.of(1L, 2L, 3L, 4L, 5L), List.copyOf(straight.published.keySet()));
    }
  }

  @Test
  void anAdapterThatDiesAndResumesEndsInTheSameBits() throws Exception {
    String[] settings = {
      "model.initial=" + config("adapter-base").model().initial(), "model.adapter.rank=3"
    };
    try (Run straight = new Run(config("straight-adapter", settings), null);
        Run killed = new Run(config("killed-adapter", settings), null)) {
      straight.feed(demonstrations(0, 21)).end();
      killed.feed(demonstrations(0, 3)).dieAfter(demonstrations(3, 8));
      killed.feed(demonstrations(3, 21)).end();
      assertEquals(straight.published, killed.published);
      assertEquals(straight.lineage, killed.lineage);
      assertEquals(straight.summary(), killed.summary());
      assertEquals(List.of(1L, 2L, 3L), List.copyOf(straight.published.keySet()));
    }
  }

  /** The weights overflow after some updates; a restart would only repeat it. */
  @Test
  void aDivergedRunFailsForGoodAndNamesTheDemonstrations() throws Exception {
    MillraceConfig config = config("diverged");
    SupervisedSection section = config.section(SupervisedSection.class);
    MillraceConfig diverging =
        config.with(
            new SupervisedSection(
                section.file(),
                section.sequenceLength(),
                section.truncate(),
                section.concatenate(),
                section.loss(),
                section.batchSize(),
                1e30,
                section.scheduleSteps(),
                section.warmupSteps(),
                section.epochs(),
                section.publishEvery(),
                section.optimizer()));
    try (Run run = new Run(diverging, null)) {
      Exception e = assertThrows(Exception.class, () -> run.feed(demonstrations(0, 41)).end());
      assertTrue(e instanceof SuppressRestartsException, e.toString());
      assertTrue(
          e.getCause()
              .getMessage()
              .matches("(?s).*The demonstrations of the last batch are d\\d+.*"),
          e.getCause().getMessage());
    }
  }

  /** A state with all parts: an inbox, an incomplete batch, examples for the second pass. */
  private static OperatorSubtaskState someState() throws Exception {
    try (Run run = new Run(config("golden-writer"), null)) {
      run.feed(demonstrations(0, GOLDEN_DEMONSTRATIONS));
      return run.snapshot();
    }
  }

  /**
   * Later versions of the operator must read this state. A run with {@code
   * -Dmillrace.write-docs=true} records the file if it is missing.
   */
  @Test
  void readsRecordedState() throws Exception {
    if (Boolean.getBoolean("millrace.write-docs") && !Files.exists(GOLDEN)) {
      Files.write(GOLDEN, OperatorStates.bytes(someState()));
    }
    byte[] golden = Files.readAllBytes(GOLDEN);
    try (Run run = new Run(config("golden"), OperatorStates.of(golden))) {
      run.end();
      assertEquals(GOLDEN_DEMONSTRATIONS, run.summary().get("demonstrations"));
      assertEquals(2 * GOLDEN_DEMONSTRATIONS, run.summary().get("examples"));
      assertEquals(3, run.summary().get("version"));
    }
  }

  @Test
  void readsAllThatItWrites() throws Exception {
    byte[] state = OperatorStates.bytes(someState());
    SupervisedOperator operator = new SupervisedOperator(config("again"), true);
    assertArrayEquals(state, OperatorStates.readAndWritten(operator, state));
  }

  private static List<String> ids(GenericRecord state, String field) {
    return ((List<?>) state.get(field))
        .stream()
            .map(from -> (List<?>) ((GenericRecord) from).get("ids"))
            .map(ids -> ids.getFirst().toString())
            .toList();
  }

  @Test
  void withdrawnDemonstrationsLeaveTheBatchAndLaterPasses() throws Exception {
    try (Run run = new Run(config("withdrawn", "supervised.batch-size=100"), null)) {
      run.feed(demonstrations(0, 6));
      run.awaitState(state -> (long) state.get("consumed") == 6);
      run.withdraw(WithdrawnBy.ID, "d2");
      run.withdraw(WithdrawnBy.ID, "d3");
      GenericRecord state = run.state();
      for (String field : List.of("packed", "kept")) {
        assertEquals(4, ((List<?>) state.get(field)).size());
        assertEquals(List.of("d0", "d1", "d4", "d5"), ids(state, field + "From"));
      }
      run.dieAfter(List.of());
      run.feed(demonstrations(3, 4)).feed(demonstrations(6, 8)).end();
      // A harness has no topic to read withdrawals from, so a restart forgets d3.
      assertEquals(14, run.summary().get("examples"), "two passes over seven");
      assertEquals(2L, run.accumulator("topics/demonstrations/dropped/withdrawn"));
    }
  }

  @Test
  void aRevisionReplacesTheFormerDemonstration() throws Exception {
    try (Run run = new Run(config("revised", "supervised.batch-size=100"), null)) {
      Demonstration revised =
          Demonstration.newBuilder(demonstrations(2, 3).getFirst()).setRevision(1).build();
      run.feed(demonstrations(0, 4)).feed(List.of(revised));
      GenericRecord state = run.awaitState(one -> (long) one.get("consumed") == 5);
      assertEquals(List.of("d0", "d1", "d3", "d2"), ids(state, "packedFrom"));
      assertEquals(List.of("d0", "d1", "d3", "d2"), ids(state, "keptFrom"));
      run.end();
      assertEquals(8, run.summary().get("examples"));
      assertEquals(1, run.summary().get("replaced"));
    }
  }
}
