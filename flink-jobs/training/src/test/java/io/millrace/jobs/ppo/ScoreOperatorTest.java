package io.millrace.jobs.ppo;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.InitialModel;
import io.millrace.jobs.models.PolicyModel;
import io.millrace.jobs.testkit.OperatorHarness;
import io.millrace.jobs.testkit.TwoInputRun;
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
import io.millrace.schemas.WithdrawnBy;
import io.millrace.schemas.state.StateWriter;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.runtime.execution.SuppressRestartsException;
import org.apache.flink.runtime.io.network.partition.MockResultPartitionWriter;
import org.apache.flink.streaming.runtime.tasks.mailbox.Mail;
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
class ScoreOperatorTest {

  private static final int BATCH = 4;

  @TempDir private static Path directory;
  private static MillraceConfig config;

  /** The same with a bound on waiting. */
  private static MillraceConfig impatient;

  /** Announcements of version 1 and 2 of each objective. */
  private static final List<RewardCheckpoint> FIRST = new ArrayList<>();

  private static final List<RewardCheckpoint> SECOND = new ArrayList<>();

  @BeforeAll
  static void makeModels() throws IOException {
    List<String> settings = new ArrayList<>(OperatorHarness.TINY_MODEL);
    settings.add("checkpoints.directory=" + directory);
    settings.add("ppo.score-batch-size=" + BATCH);
    config = InitialModel.ensure(ConfigLoader.load(Optional.empty(), settings));
    settings.add("ppo.score-max-wait=1s");
    settings.add("model.initial=" + config.model().initial());
    impatient = ConfigLoader.load(Optional.empty(), settings);
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
          CheckpointManifest.describing(CheckpointKind.REWARD_MODEL, "reward", version).build());
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

  private static TwoInputRun<Rollout, RewardCheckpoint, ScoredRollout> run(boolean bounded)
      throws Exception {
    return TwoInputRun.of(() -> new ScoreOperator(config, bounded), null);
  }

  /** A run whose output may be full. */
  private static TwoInputRun<Rollout, RewardCheckpoint, ScoredRollout> runInto(Output output)
      throws Exception {
    return new TwoInputRun<>(
        () -> {
          var harness =
              new TwoInputStreamOperatorTestHarness<>(new ScoreOperator(config, false), 1, 1, 0);
          harness.getEnvironment().addOutputs(List.of(output));
          return harness;
        },
        null);
  }

  private static List<Rollout> rollouts(int from, int to) {
    return IntStream.range(from, to).mapToObj(ScoreOperatorTest::rollout).toList();
  }

  /** The id and all bytes of each scored rollout. */
  private static List<String> output(TwoInputRun<Rollout, RewardCheckpoint, ScoredRollout> run)
      throws IOException {
    List<String> lines = new ArrayList<>();
    for (ScoredRollout scored : run.output()) {
      byte[] bytes = StateWriter.toBytes(out -> out.write(scored));
      lines.add(scored.rollout().getRolloutId() + " " + HexFormat.of().formatHex(bytes));
    }
    return lines;
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
    try (var straight = run(false);
        var killed = run(false)) {
      straight.announce(FIRST).feed(rollouts(0, 14)).announce(SECOND).feed(rollouts(14, 30)).end();
      killed.announce(FIRST).feed(rollouts(0, first));
      killed.dieAfter(rollouts(first, 14));
      killed.feed(rollouts(first, 14)).announce(SECOND).feed(rollouts(14, 18));
      killed.dieAfter(rollouts(18, 30));
      killed.feed(rollouts(18, 30)).end();
      assertEquals(idsTo(30), ids(output(straight)));
      assertEquals(output(straight), output(killed));
    }
  }

  @Test
  void whatComesBeforeTheRewardModelsWaitsForThem() throws Exception {
    try (var run = run(false)) {
      // Many times what is held otherwise.
      run.feed(rollouts(0, 10 * BATCH));
      run.dieAfter(List.of());
      assertEquals(List.of(), run.output());
      run.announce(FIRST).end();
      assertEquals(idsTo(10 * BATCH), ids(output(run)));
    }
  }

  @Test
  void aBoundedRunScoresWithTheLastRewardModelsThereAre() throws Exception {
    try (var bounded = run(true);
        var straight = run(false)) {
      bounded.announce(FIRST).feed(rollouts(0, 9)).announce(SECOND).end();
      straight.announce(SECOND).feed(rollouts(0, 9)).end();
      assertEquals(idsTo(9), ids(output(bounded)));
      assertEquals(output(straight), output(bounded));
    }
  }

  @Test
  void aBoundedRunWithoutRewardModelsFailsForGood() throws Exception {
    try (var run = run(true)) {
      run.announce(List.of(FIRST.get(Objective.HELPFULNESS.ordinal()))).feed(rollouts(0, 3));
      SuppressRestartsException failure = assertThrows(SuppressRestartsException.class, run::end);
      assertEquals(
          "3 rollouts cannot be scored: no safety reward model is announced; run reward-model"
              + " first",
          failure.getCause().getMessage());
    }
  }

  @Test
  void anIncompleteBatchIsScoredWhenItHasWaitedForLongEnough() throws Exception {
    try (var run =
        TwoInputRun.<Rollout, RewardCheckpoint, ScoredRollout>of(
            () -> new ScoreOperator(impatient, false), null)) {
      run.announce(FIRST).feed(rollouts(0, BATCH + 1));
      long deadline = System.nanoTime() + Duration.ofSeconds(60).toNanos();
      for (long now = 0; run.output().size() <= BATCH; now += 600) {
        assertTrue(System.nanoTime() < deadline, "a rollout waits for ever");
        run.harness.setProcessingTime(now);
        run.snapshot(); // Has the task's thread emit what is scored.
      }
      assertEquals(idsTo(BATCH + 1), ids(output(run)));
    }
  }

  @Test
  void whatIsNotTakenDownstreamIsState() throws Exception {
    OperatorSubtaskState state;
    Output output = new Output();
    try (var run = runInto(output)) {
      output.available = new CompletableFuture<>();
      run.announce(FIRST).feed(rollouts(0, 2 * BATCH));
      // The operator is full. It takes one more record if the task has a barrier to answer.
      run.harness
          .getOperator()
          .getContainingTask()
          .getMailboxExecutorFactory()
          .createExecutor(TaskMailbox.MIN_PRIORITY)
          .execute(() -> {}, "like a barrier");
      run.feed(rollouts(2 * BATCH, 2 * BATCH + 1));
      state = run.snapshot();
      assertEquals(List.of(), run.output());
    }
    try (var resumed = TwoInputRun.of(() -> new ScoreOperator(config, false), state);
        var straight = run(false)) {
      resumed.end();
      straight.announce(FIRST).feed(rollouts(0, 2 * BATCH + 1)).end();
      assertEquals(output(straight), output(resumed));
    }
  }

  @Test
  void whatWaitsForRoomDownstreamIsEmittedOnceThereIsSome() throws Exception {
    Output output = new Output();
    try (var run = runInto(output)) {
      output.available = new CompletableFuture<>();
      run.announce(FIRST).feed(rollouts(0, 2 * BATCH));
      output.available.complete(null);
      run.end();
      assertEquals(idsTo(2 * BATCH), ids(output(run)));
    }
  }

  @Test
  void aSubtaskThatARescaleAddsHasTheRewardModels() throws Exception {
    OperatorSubtaskState state;
    List<String> emitted = new ArrayList<>();
    try (var alone = run(false)) {
      state = alone.announce(FIRST).announce(SECOND).feed(rollouts(0, 3)).snapshot();
      emitted.addAll(output(alone));
    }
    for (int subtask = 0; subtask < 2; subtask++) {
      try (var run =
          TwoInputRun.rescaled(() -> new ScoreOperator(config, false), state, 2, subtask)) {
        int from = 3 + 5 * subtask;
        emitted.addAll(output(run.feed(rollouts(from, from + 5)).end()));
      }
    }
    try (var straight = run(false);
        var added = run(false)) {
      List<String> expected =
          new ArrayList<>(output(straight.announce(SECOND).feed(rollouts(0, 8)).end()));
      expected.addAll(output(added.announce(SECOND).feed(rollouts(8, 13)).end()));
      assertEquals(expected, emitted);
    }
  }

  /** A job that starts late reads the announcements from their beginning. */
  @Test
  void anEarlierRewardModelChangesNothing() throws Exception {
    try (var run = run(false);
        var straight = run(false)) {
      run.announce(SECOND).announce(FIRST).feed(rollouts(0, 9)).end();
      straight.announce(SECOND).feed(rollouts(0, 9)).end();
      assertEquals(output(straight), output(run));
    }
  }

  private static final String DROPPED = "topics/rollouts/dropped/withdrawn";

  @Test
  void withdrawnRolloutsLeaveBeforeTheyAreScoredAndLaterOnesAreDropped() throws Exception {
    try (var run = run(false)) {
      run.feed(rollouts(0, 14));
      assertTrue(run.stateText().contains("thing number 6"));
      run.withdraw(WithdrawnBy.ID, "p3"); // r6 and r7
      run.withdraw(WithdrawnBy.ID, "r9");
      String state = run.stateText();
      assertFalse(state.contains("thing number 6") || state.contains("thing number 7"));
      assertTrue(state.contains("thing number 8"));
      run.feed(rollouts(6, 7)).announce(FIRST).end();
      List<String> expected = new ArrayList<>(idsTo(14));
      expected.removeAll(List.of("r6", "r7", "r9"));
      assertEquals(expected, ids(output(run)));
      assertEquals(4L, run.accumulator(DROPPED));
      assertEquals(2L, run.accumulator("withdrawals/applied"));
    }
  }

  /** Whatever a batch has come to when its rollouts are withdrawn. */
  @Test
  void withdrawnRolloutsLeaveBatchesThatAreBeingScored() throws Exception {
    Output output = new Output();
    try (var run = runInto(output)) {
      output.available = new CompletableFuture<>();
      run.announce(FIRST).feed(rollouts(0, 8));
      run.withdraw(WithdrawnBy.ID, "p1"); // r2 and r3
      String state = run.stateText();
      assertFalse(state.contains("thing number 2") || state.contains("thing number 3"));
      output.available.complete(null);
      output.available = CompletableFuture.completedFuture(null);
      run.end();
      List<String> expected = new ArrayList<>(idsTo(8));
      expected.removeAll(List.of("r2", "r3"));
      assertEquals(expected, ids(output(run)));
      assertEquals(2L, run.accumulator(DROPPED));
    }
  }

  /** The task takes no other record meanwhile, but it takes the withdrawal. */
  @Test
  void aRolloutThatWaitsForRoomCanBeWithdrawn() throws Exception {
    Output output = new Output();
    try (var run = runInto(output)) {
      output.available = new CompletableFuture<>();
      run.announce(FIRST).feed(rollouts(0, 2 * BATCH));
      CompletableFuture<Void> full = output.available;
      run.harness
          .getTaskMailbox()
          .put(
              new Mail(
                  () -> {
                    run.withdraw(WithdrawnBy.ID, "r" + 2 * BATCH);
                    output.available = CompletableFuture.completedFuture(null);
                    full.complete(null);
                  },
                  TaskMailbox.MAX_PRIORITY,
                  "a withdrawal comes"));
      run.feed(rollouts(2 * BATCH, 2 * BATCH + 1));
      assertFalse(run.stateText().contains("thing number " + 2 * BATCH));
      run.end();
      assertEquals(idsTo(2 * BATCH), ids(output(run)));
      assertEquals(1L, run.accumulator(DROPPED));
    }
  }
}
