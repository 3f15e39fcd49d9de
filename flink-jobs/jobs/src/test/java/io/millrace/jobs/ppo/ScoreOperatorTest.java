package io.millrace.jobs.ppo;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.InitialModel;
import io.millrace.jobs.models.PolicyModel;
import io.millrace.jobs.testkit.OperatorRun;
import io.millrace.jobs.testkit.OperatorStates;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.CheckpointKind;
import io.millrace.model.checkpoint.CheckpointManifest;
import io.millrace.model.checkpoint.ModelWeights;
import io.millrace.model.llama.Parameters;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Backends;
import io.millrace.schemas.FinishReason;
import io.millrace.schemas.Objective;
import io.millrace.schemas.RewardCheckpoint;
import io.millrace.schemas.Role;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.Turn;
import io.millrace.schemas.state.StateWriter;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.concurrent.CompletableFuture;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.runtime.io.network.partition.MockResultPartitionWriter;
import org.apache.flink.streaming.runtime.tasks.mailbox.TaskMailbox;
import org.apache.flink.streaming.util.TwoInputStreamOperatorTestHarness;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Scoring beside the mailbox; the deadline is for a thread that hangs. */
@Timeout(120)
@SuppressWarnings("try") // A harness's close may be interrupted, which then fails the test.
class ScoreOperatorTest {

  private static final int BATCH = 4;

  @TempDir private static Path directory;
  private static MillraceConfig config;

  /** Announcements of version 1 and 2 of each objective. */
  private static final List<RewardCheckpoint> FIRST = new ArrayList<>();

  private static final List<RewardCheckpoint> SECOND = new ArrayList<>();

  @BeforeAll
  static void makeModels() throws IOException {
    List<String> settings = new ArrayList<>(OperatorRun.TINY_MODEL);
    settings.add("checkpoints.directory=" + directory);
    settings.add("ppo.score-batch-size=" + BATCH);
    config = InitialModel.ensure(ConfigLoader.load(Optional.empty(), settings));
    for (Objective objective : Objective.values()) {
      FIRST.add(rewardModel(objective, 1));
      SECOND.add(rewardModel(objective, 2));
    }
  }

  private static RewardCheckpoint rewardModel(Objective objective, long version)
      throws IOException {
    Path path = directory.resolve("%s/v%06d".formatted(objective, version));
    try (Backend backend = Backends.openDefault();
        PolicyModel policy = PolicyModel.load(backend, config.model().initial());
        Parameters weights =
            Parameters.random(
                backend, policy.model().config().parameters(), version * 10 + objective.ordinal());
        ScalarModel scalar = ScalarModel.onTrunkOf(backend, policy.model().config(), weights)) {
      CheckpointDirectory.write(
          path,
          policy.model().config(),
          ModelWeights.sources(scalar.weights()),
          policy.tokenizer()::save,
          CheckpointManifest.describing(
              CheckpointKind.REWARD_MODEL, "reward", version, null, 0, 0, Map.of(), Map.of()));
    }
    return RewardCheckpoint.newBuilder()
        .setObjective(objective)
        .setVersion(version)
        .setUri(path.toString())
        .setManifestSha256(CheckpointDirectory.manifestDigest(path))
        .setJudgments(0)
        .setMetrics(Map.of())
        .setTime(Instant.EPOCH)
        .build();
  }

  private static Rollout rollout(int i) {
    SplittableRandom random = new SplittableRandom(i);
    List<Integer> response = random.ints(1 + i % 7, 0, 256).boxed().toList();
    return Rollout.newBuilder()
        .setRolloutId("r" + i)
        .setPromptId("p" + i / 2)
        .setDialogue(List.of(new Turn(Role.USER, "Tell me of thing number " + i)))
        .setIsSafety(i % 3 == 0)
        .setPromptTokens(random.ints(1 + i % 5, 0, 256).boxed().toList())
        .setResponseTokens(response)
        .setLogProbs(response.stream().map(_ -> -5f).toList())
        .setResponseText("text")
        .setFinishReason(i % 4 == 0 ? FinishReason.LENGTH : FinishReason.STOP)
        .setModel(config.model().name())
        .setPolicyVersion(0)
        .setTemperature(1)
        .setTopP(1)
        .setSeed(i)
        .setSource("test")
        .setTime(Instant.EPOCH)
        .build();
  }

  /** An output that may be full. */
  private static final class Output extends MockResultPartitionWriter {
    private CompletableFuture<Void> available = CompletableFuture.completedFuture(null);

    @Override
    public CompletableFuture<?> getAvailableFuture() {
      return available;
    }
  }

  /** A run in Flink's harness, through any number of deaths. */
  private static final class Run implements AutoCloseable {
    private final List<String> emitted = new ArrayList<>();
    private final boolean bounded;
    private final int parallelism;
    private final int subtask;
    private TwoInputStreamOperatorTestHarness<Rollout, RewardCheckpoint, ScoredRollout> harness;
    private ScoreOperator operator;
    private Output output;
    private long snapshots;

    Run(boolean bounded, OperatorSubtaskState state) throws Exception {
      this(bounded, state, 1, 0);
    }

    Run(boolean bounded, OperatorSubtaskState state, int parallelism, int subtask)
        throws Exception {
      this.bounded = bounded;
      this.parallelism = parallelism;
      this.subtask = subtask;
      begin(state);
    }

    private void begin(OperatorSubtaskState state) throws Exception {
      operator = new ScoreOperator(config, bounded);
      harness =
          new TwoInputStreamOperatorTestHarness<>(operator, parallelism, parallelism, subtask);
      output = new Output();
      harness.getEnvironment().addOutputs(List.of(output));
      harness.setup();
      if (state != null) {
        harness.initializeState(state);
      }
      harness.open();
    }

    Run announce(List<RewardCheckpoint> checkpoints) throws Exception {
      for (RewardCheckpoint checkpoint : checkpoints) {
        harness.processElement2(checkpoint, 0);
      }
      return this;
    }

    Run feed(int from, int to) throws Exception {
      for (int i = from; i < to; i++) {
        harness.processElement1(rollout(i), 0);
      }
      return this;
    }

    OperatorSubtaskState snapshot() throws Exception {
      snapshots++;
      harness.prepareSnapshotPreBarrier(snapshots);
      return harness.snapshot(snapshots, snapshots);
    }

    /** Takes a Flink checkpoint, goes on, dies, and resumes before that. */
    void dieAfter(int from, int to) throws Exception {
      OperatorSubtaskState state = snapshot();
      collect();
      feed(from, to);
      harness.close();
      begin(state);
    }

    Run end() throws Exception {
      harness.endInput1();
      harness.endInput2();
      collect();
      return this;
    }

    private void collect() throws IOException {
      for (ScoredRollout scored : harness.extractOutputValues()) {
        byte[] bytes = StateWriter.toBytes(out -> out.write(scored));
        emitted.add(scored.rollout().getRolloutId() + " " + HexFormat.of().formatHex(bytes));
      }
      harness.getOutput().clear();
    }

    @Override
    public void close() throws Exception {
      harness.close();
    }
  }

  private static List<String> ids(List<String> emitted) {
    return emitted.stream().map(line -> line.substring(0, line.indexOf(' '))).toList();
  }

  private static List<String> idsTo(int to) {
    List<String> ids = new ArrayList<>();
    for (int i = 0; i < to; i++) {
      ids.add("r" + i);
    }
    return ids;
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 4, 7, 13})
  void aRunThatDiesAndResumesGivesTheSameBits(int first) throws Exception {
    try (Run straight = new Run(false, null);
        Run killed = new Run(false, null)) {
      straight.announce(FIRST).feed(0, 14).announce(SECOND).feed(14, 30).end();
      killed.announce(FIRST).feed(0, first);
      killed.dieAfter(first, 14);
      killed.feed(first, 14).announce(SECOND).feed(14, 18);
      killed.dieAfter(18, 30);
      killed.feed(18, 30).end();
      assertEquals(idsTo(30), ids(straight.emitted));
      assertEquals(straight.emitted, killed.emitted);
    }
  }

  @Test
  void whatComesBeforeTheRewardModelsWaitsForThem() throws Exception {
    try (Run run = new Run(false, null)) {
      // Many times what is held otherwise.
      run.feed(0, 10 * BATCH);
      run.dieAfter(0, 0);
      assertEquals(List.of(), run.emitted);
      run.announce(FIRST).end();
      assertEquals(idsTo(10 * BATCH), ids(run.emitted));
    }
  }

  @Test
  void aBoundedRunScoresWithTheLastRewardModelsThereAre() throws Exception {
    try (Run bounded = new Run(true, null);
        Run straight = new Run(false, null)) {
      bounded.announce(FIRST).feed(0, 9).announce(SECOND).end();
      straight.announce(SECOND).feed(0, 9).end();
      assertEquals(idsTo(9), ids(bounded.emitted));
      assertEquals(straight.emitted, bounded.emitted);
    }
  }

  @Test
  void whatIsNotTakenDownstreamIsState() throws Exception {
    OperatorSubtaskState state;
    try (Run run = new Run(false, null)) {
      run.output.available = new CompletableFuture<>();
      run.announce(FIRST).feed(0, 2 * BATCH);
      // There is no room for another. Where the task has a barrier to look after it is let in.
      run.operator
          .getContainingTask()
          .getMailboxExecutorFactory()
          .createExecutor(TaskMailbox.MIN_PRIORITY)
          .execute(() -> {}, "as of a barrier");
      run.feed(2 * BATCH, 2 * BATCH + 1);
      state = run.snapshot();
      assertEquals(List.of(), run.harness.extractOutputValues());
    }
    try (Run resumed = new Run(false, state);
        Run straight = new Run(false, null)) {
      resumed.end();
      straight.announce(FIRST).feed(0, 2 * BATCH + 1).end();
      assertEquals(straight.emitted, resumed.emitted);
    }
  }

  @Test
  void whatWaitsForRoomDownstreamIsEmittedOnceThereIsSome() throws Exception {
    try (Run run = new Run(false, null)) {
      run.output.available = new CompletableFuture<>();
      run.announce(FIRST).feed(0, 2 * BATCH);
      run.output.available.complete(null);
      run.end();
      assertEquals(idsTo(2 * BATCH), ids(run.emitted));
    }
  }

  @Test
  void aSubtaskThatARescaleAddsHasTheRewardModels() throws Exception {
    OperatorSubtaskState state;
    List<String> emitted = new ArrayList<>();
    try (Run alone = new Run(false, null)) {
      state = alone.announce(FIRST).announce(SECOND).feed(0, 3).snapshot();
      alone.collect();
      emitted.addAll(alone.emitted);
    }
    for (int subtask = 0; subtask < 2; subtask++) {
      OperatorSubtaskState part = OperatorStates.rescaled(state, 2, subtask);
      try (Run run = new Run(false, part, 2, subtask)) {
        int from = 3 + 5 * subtask;
        run.feed(from, from + 5).end();
        emitted.addAll(run.emitted);
      }
    }
    try (Run straight = new Run(false, null);
        Run added = new Run(false, null)) {
      straight.announce(SECOND).feed(0, 8).end();
      added.announce(SECOND).feed(8, 13).end();
      List<String> expected = new ArrayList<>(straight.emitted);
      expected.addAll(added.emitted);
      assertEquals(expected, emitted);
    }
  }

  /** One that starts late reads the announcements from their beginning. */
  @Test
  void anEarlierRewardModelChangesNothing() throws Exception {
    try (Run run = new Run(false, null);
        Run straight = new Run(false, null)) {
      run.announce(SECOND).announce(FIRST).feed(0, 9).end();
      straight.announce(SECOND).feed(0, 9).end();
      assertEquals(straight.emitted, run.emitted);
    }
  }
}
