package io.millrace.jobs.ppo;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.connectors.broker.EmbeddedBroker;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.InitialModel;
import io.millrace.jobs.models.ModelRef;
import io.millrace.jobs.models.PolicyModel;
import io.millrace.jobs.models.RewardModelPair;
import io.millrace.jobs.models.RuntimeSettings;
import io.millrace.jobs.runtime.JobSettings;
import io.millrace.jobs.testkit.OperatorRun;
import io.millrace.jobs.testkit.OperatorStates;
import io.millrace.model.checkpoint.CarriedFiles;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.CheckpointKind;
import io.millrace.model.checkpoint.CheckpointManifest;
import io.millrace.model.checkpoint.ModelWeights;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.llama.Targets;
import io.millrace.model.reward.PiecewiseReward;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Backends;
import io.millrace.schemas.FinishReason;
import io.millrace.schemas.Role;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.TrainingMetrics;
import io.millrace.schemas.Turn;
import io.millrace.schemas.WithdrawnBy;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.streaming.util.OneInputStreamOperatorTestHarness;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The updater in Flink's harness, on a tiny model; the deadline is for a thread that hangs. */
@Timeout(120)
@SuppressWarnings("try") // Flink's harness may throw InterruptedException from close().
class PpoOperatorTest {

  private static final long SEED = 11;
  private static final int BATCH = 8;

  /** Written once, when its format was new; a later format gets a file of its own. */
  private static final Path GOLDEN = Path.of("src/test/resources/golden-state/ppo.bin");

  /** How many rollouts went into the golden state. */
  private static final int GOLDEN_ROLLOUTS = 29;

  @TempDir private static Path directory;
  private static EmbeddedBroker broker;

  /** The reward model from which the critic starts. */
  private static Path rewardModel;

  @BeforeAll
  static void start() throws Exception {
    broker = EmbeddedBroker.start(directory.resolve("kafka"), 0);
    MillraceConfig config = config("start");
    try (TopicAdmin admin = new TopicAdmin(JobSettings.kafka(config))) {
      admin.createAll(1, 1);
    }
    rewardModel = rewardModel("reward-model", config);
  }

  /** Writes a reward model on the trunk of a configuration's initial model. */
  private static Path rewardModel(String name, MillraceConfig config) throws Exception {
    return rewardModel(name, config, 1);
  }

  private static Path rewardModel(String name, MillraceConfig config, int heads) throws Exception {
    Path files = directory.resolve(name);
    try (Backend backend = Backends.openDefault();
        PolicyModel policy = PolicyModel.load(backend, config.model().initial());
        ScalarModel scalar =
            ScalarModel.onTrunkOf(
                backend, policy.model().config().withScoreHeads(heads), policy.model().weights())) {
      CheckpointDirectory.write(
          files,
          scalar.config(),
          ModelWeights.sources(scalar.weights()),
          policy.tokenizer()::save,
          CheckpointManifest.describing(CheckpointKind.REWARD_MODEL, "reward", 1).build());
    }
    return files;
  }

  @AfterAll
  static void stop() throws Exception {
    broker.close();
  }

  /** A configuration with a checkpoint store of its own. */
  private static MillraceConfig config(String store, String... settings) throws Exception {
    List<String> all =
        new ArrayList<>(
            List.of(
                "kafka.bootstrap-servers=" + broker.bootstrapServers(),
                "checkpoints.directory=" + directory.resolve(store),
                "model.seed=" + SEED,
                "ppo.batch-size=" + BATCH,
                "ppo.mini-batch-size=4",
                "ppo.score-batch-size=4",
                "ppo.epochs=2",
                "ppo.learning-rate=1e-3",
                "ppo.critic-learning-rate=1e-3",
                "ppo.kl-target=1.0",
                "ppo.max-staleness=1000000"));
    all.addAll(OperatorRun.TINY_MODEL);
    all.addAll(List.of(settings));
    return InitialModel.ensure(ConfigLoader.load(Optional.empty(), all));
  }

  /**
   * Rollouts of the initial policy's version, as if recorded.
   *
   * @param critic the directory that the first one names as its reward model's
   */
  private static List<ScoredRollout> rollouts(int count, String critic) {
    SplittableRandom random = new SplittableRandom(SEED);
    List<ScoredRollout> rollouts = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      int[] prompt = random.ints(1 + random.nextInt(9), 0, 256).toArray();
      int[] response = random.ints(1 + random.nextInt(12), 0, 256).toArray();
      float[] logProbs = new float[response.length];
      Arrays.fill(logProbs, (float) -Math.log(300));
      float helpfulnessScore = (float) random.nextGaussian();
      float safetyScore = (float) random.nextGaussian();
      boolean isSafety = random.nextInt(4) == 0;
      boolean truncated = random.nextInt(5) == 0;
      Rollout sampled =
          Rollout.newBuilder()
              .setRolloutId("r" + i)
              .setPromptId("p" + i / 2)
              .setDialogue(List.of(new Turn(Role.USER, "Hi " + i / 2)))
              .setPromptTokens(Arrays.stream(prompt).boxed().toList())
              .setResponseTokens(Arrays.stream(response).boxed().toList())
              .setLogProbs(Collections.nCopies(logProbs.length, logProbs[0]))
              .setResponseText("")
              .setFinishReason(truncated ? FinishReason.LENGTH : FinishReason.STOP)
              .setModel("policy")
              .setPolicyVersion(0)
              .setTemperature(1)
              .build();
      String helpfulness = i == 0 ? critic : "not opened again";
      ScoredRollout rollout =
          new ScoredRollout(
              sampled,
              isSafety,
              helpfulnessScore,
              safetyScore,
              new RewardModelPair(new ModelRef(1, helpfulness, ""), new ModelRef(1, "", "")),
              logProbs.clone());
      rollouts.add(rollout);
    }
    return rollouts;
  }

  private static List<ScoredRollout> rollouts(int count) {
    return rollouts(count, rewardModel.toString());
  }

  private static final class Run extends OperatorRun<ScoredRollout> {
    Run(MillraceConfig config, OperatorSubtaskState state) throws Exception {
      super(() -> new PpoOperator(config), state);
    }

    /** What learning gave at each step, by the last life that came to it. */
    TreeMap<Long, Map<String, Double>> figures() {
      TreeMap<Long, Map<String, Double>> figures = new TreeMap<>();
      for (TrainingMetrics metric : metrics) {
        Map<String, Double> values = new TreeMap<>(metric.getMetrics());
        // These count from the start of the process.
        assertTrue(values.remove("device/bytes_to") != null, "step " + metric.getStep());
        assertTrue(values.remove("device/bytes_from") != null, "step " + metric.getStep());
        figures.put(metric.getStep(), values);
      }
      return figures;
    }

    double figure(String name) {
      return summary("ppo").get(name);
    }
  }

  @Test
  void aRunThatDiesAndResumesEndsInTheSameBits() throws Exception {
    List<ScoredRollout> all = rollouts(9 * BATCH + 3);
    try (Run straight = new Run(config("straight"), null);
        Run killed = new Run(config("killed"), null)) {
      straight.feed(all).end();
      int from = 0;
      for (int to : new int[] {3, 2 * BATCH, 5 * BATCH + 1}) {
        killed.feed(all.subList(from, to));
        killed.dieAfter(all.subList(to, to + 2 * BATCH + 5));
        from = to;
      }
      killed.feed(all.subList(from, all.size())).end();
      assertEquals(
          List.of(1L, 2L, 3L, 4L, 5L, 6L, 7L, 8L, 9L), List.copyOf(straight.published.keySet()));
      assertEquals(straight.published, killed.published);
      assertEquals(straight.lineage, killed.lineage);
      assertEquals(straight.figures(), killed.figures());
      assertEquals(
          all.subList(BATCH, 2 * BATCH).stream().map(ScoredRollout::promptId).distinct().toList(),
          straight.learnedBy(2));
      assertEquals(
          List.of(all.getFirst().rewardModels().safety().version()),
          straight.lineage.get("policy/2/0").getSafetyVersions());
      straight
          .figures()
          .forEach((step, values) -> assertEquals(step.doubleValue(), values.get("version")));
      assertEquals(9 * BATCH, killed.figure("learned"));
      assertEquals(3, killed.figure("incomplete-batch"));
    }
  }

  /** The same rollouts, scored by ensembles: the means are the scores of before. */
  private static List<ScoredRollout> byEnsembles(List<ScoredRollout> rollouts) {
    SplittableRandom random = new SplittableRandom(SEED);
    return rollouts.stream()
        .map(
            one ->
                new ScoredRollout(
                    one.rollout(),
                    one.isSafety(),
                    one.helpfulnessScore(),
                    one.safetyScore(),
                    one.rewardModels(),
                    one.referenceLogProbs(),
                    around(one.helpfulnessScore(), random.nextFloat()),
                    around(one.safetyScore(), random.nextFloat()),
                    new float[0],
                    0))
        .toList();
  }

  private static float[] around(float mean, float distance) {
    return new float[] {mean - distance, mean, mean + distance};
  }

  @Test
  void aLowerBoundIsLearnedFromToTheSameBitsAndMeansAreNotChanged() throws Exception {
    Path ensemble = rewardModel("ensemble", config("start"), 3);
    List<ScoredRollout> single = rollouts(4 * BATCH, ensemble.toString());
    List<ScoredRollout> all = byEnsembles(single);
    String[] lcb = {"ppo.reward=lcb", "ppo.lcb-coefficient=0.5"};
    try (Run straight = new Run(config("lcb", lcb), null);
        Run killed = new Run(config("lcb-killed", lcb), null);
        Run mean = new Run(config("mean"), null);
        Run oneHead = new Run(config("one-head"), null)) {
      straight.feed(all).end();
      killed.feed(all.subList(0, BATCH + 3)).dieAfter(all.subList(BATCH + 3, 3 * BATCH));
      killed.feed(all.subList(BATCH + 3, all.size())).end();
      mean.feed(all).end();
      oneHead.feed(single).end();
      assertEquals(straight.published, killed.published);
      assertEquals(straight.figures(), killed.figures());
      assertFalse(straight.published.equals(mean.published));

      Map<String, Double> first = straight.figures().get(1L);
      double expected =
          all.subList(0, BATCH).stream()
              .mapToDouble(one -> Math.abs(one.safetyHeads()[0] - one.safetyHeads()[1]))
              .map(distance -> distance * Math.sqrt(2.0 / 3))
              .average()
              .orElseThrow();
      assertEquals(expected, first.get("ensemble/safety/disagreement"), 1e-6);
      double combined =
          all.subList(0, BATCH).stream()
              .mapToDouble(
                  one ->
                      new PiecewiseReward(0.15)
                          .combine(
                              bound(one.helpfulnessScore(), one.helpfulnessHeads()),
                              bound(one.safetyScore(), one.safetyHeads()),
                              one.isSafety()))
              .average()
              .orElseThrow();
      assertEquals(combined, first.get("objective/scores"), 1e-6);
      Map<Long, Map<String, Double>> meanFigures = mean.figures();
      meanFigures.values().forEach(values -> values.keySet().removeIf(n -> n.contains("ensemble")));
      assertEquals(oneHead.figures(), meanFigures);
    }
  }

  /** mean − σ / 2 of three heads around the mean. */
  private static double bound(float mean, float[] heads) {
    return mean - 0.5 * Math.abs(heads[2] - heads[1]) * Math.sqrt(2.0 / 3);
  }

  /** Versions and Flink checkpoints are written beside training, from copies, or training waits. */
  @Test
  void copiesForWritingChangeNoBit() throws Exception {
    List<ScoredRollout> all = rollouts(5 * BATCH + 3);
    try (Run waiting = new Run(config("waiting", "compute.copy-memory-mib=0"), null);
        Run copying = new Run(config("copying"), null)) {
      waiting.feed(all).end();
      int from = 0;
      for (int to = 5; to < all.size(); to += 11) {
        copying.feed(all.subList(from, to));
        if (to % 2 == 0) {
          copying.snapshot();
        } else {
          copying.dieAfter(all.subList(to, Math.min(to + BATCH + 3, all.size())));
        }
        from = to;
      }
      copying.feed(all.subList(from, all.size())).end();
      assertEquals(List.of(1L, 2L, 3L, 4L, 5L), List.copyOf(waiting.published.keySet()));
      assertEquals(waiting.published, copying.published);
      assertEquals(waiting.figures(), copying.figures());
    }
  }

  @Test
  void aCriticOfAnotherShapeThanThePolicySurvivesARestart() throws Exception {
    Path wider =
        rewardModel("wide-reward-model", InitialModel.ensure(config("wider", "model.ffn-size=40")));
    List<ScoredRollout> all = rollouts(3 * BATCH, wider.toString());
    try (Run straight = new Run(config("straight-wider"), null);
        Run killed = new Run(config("killed-wider"), null)) {
      straight.feed(all).end();
      killed.feed(all.subList(0, BATCH + 3));
      killed.dieAfter(all.subList(BATCH + 3, 2 * BATCH + 5));
      killed.feed(all.subList(BATCH + 3, all.size())).end();
      assertEquals(straight.published, killed.published);
      assertEquals(straight.lineage, killed.lineage);
      assertEquals(straight.figures(), killed.figures());
    }
  }

  private static final String[] ADAPTER = {
    "model.adapter.rank=2", "model.adapter.alpha=4", "model.adapter.targets=q_proj,v_proj,up_proj"
  };

  /** Writes a reward model that is an adapter on a configuration's initial model. */
  private static Path adaptedRewardModel(String name, MillraceConfig config) throws Exception {
    Path files = directory.resolve(name);
    RuntimeSettings settings = new RuntimeSettings(config);
    try (Backend backend = Backends.openDefault();
        PolicyModel policy = settings.initialPolicy(backend);
        CheckpointDirectory base = CheckpointDirectory.open(Path.of(config.model().initial()));
        ScalarModel scalar = settings.newRewardModel(backend, policy, 1)) {
      CheckpointDirectory.writeAdapter(
          files,
          scalar.config(),
          scalar.adapter().orElseThrow(),
          ModelWeights.sources(scalar.weights()),
          policy.tokenizer()::save,
          CarriedFiles.none(),
          CheckpointManifest.describing(CheckpointKind.REWARD_MODEL, "reward", 1)
              .base(
                  Optional.of(
                      new CheckpointManifest.Base(config.model().initial(), base.weightsDigest())))
              .build());
    }
    return files;
  }

  @Test
  void adaptersLearnOnFrozenWeightsAndSurviveARestart() throws Exception {
    MillraceConfig straightConfig = config("straight-adapter", ADAPTER);
    Path reward = adaptedRewardModel("adapted-reward-model", straightConfig);
    List<ScoredRollout> all = rollouts(3 * BATCH, reward.toString());
    MillraceConfig sameStart =
        config("killed-adapter", ADAPTER).withInitial(straightConfig.model().initial());
    try (Run straight = new Run(straightConfig, null);
        Run killed = new Run(sameStart, null)) {
      straight.feed(all).end();
      killed.feed(all.subList(0, BATCH + 3));
      killed.dieAfter(all.subList(BATCH + 3, 2 * BATCH + 5));
      killed.feed(all.subList(BATCH + 3, all.size())).end();
      assertEquals(List.of(1L, 2L, 3L), List.copyOf(straight.published.keySet()));
      assertEquals(straight.published, killed.published);
      assertEquals(straight.lineage, killed.lineage);
      assertEquals(straight.figures(), killed.figures());
    }
    Path published;
    try (Stream<Path> files = Files.walk(directory.resolve("straight-adapter"))) {
      published =
          files
              .filter(file -> file.endsWith("adapter_config.json"))
              .findFirst()
              .orElseThrow()
              .getParent();
    }
    try (Backend backend = Backends.openDefault();
        CheckpointDirectory adapter = CheckpointDirectory.open(published)) {
      assertEquals(2, adapter.adapter().orElseThrow().config().rank());
      assertEquals(
          straightConfig.model().initial(),
          adapter.manifest().orElseThrow().base().orElseThrow().uri());
      try (PolicyModel trained =
              PolicyModel.load(
                  backend,
                  new RuntimeSettings(straightConfig).checkpoints(),
                  published.toString());
          PolicyModel base = PolicyModel.load(backend, straightConfig.model().initial())) {
        List<int[]> sequences = List.of(new int[] {1, 2, 3, 4, 5});
        Targets targets = Targets.all(sequences);
        assertFalse(
            Arrays.equals(
                base.model().infer(sequences, targets, 1).logProbs(),
                trained.model().infer(sequences, targets, 1).logProbs()),
            "the published adapter changes the policy");
      }
    }
  }

  @Test
  void anEarlyStopPublishesTheIterationsBeforeIt() throws Exception {
    String[] settings = {
      "ppo.publish-every=100", "ppo.held-out-share=0.1", "ppo.early-stop-patience=1"
    };
    try (Run run = new Run(config("early-stop", settings), null)) {
      run.feed(rollouts(100 * BATCH));
      long deadline = System.nanoTime() + Duration.ofSeconds(60).toNanos();
      while (run.published.isEmpty()) {
        assertTrue(System.nanoTime() < deadline, "no version was published at an early stop");
        run.snapshot(); // The task thread emits what training published.
        run.collect();
      }
      assertEquals(List.of(1L), List.copyOf(run.published.keySet()));
      run.end();
      assertEquals(List.of(1L), List.copyOf(run.published.keySet()), "nothing is learned later");
      assertTrue(run.figure("after-stop") > 0);
      double iterations = run.figure("iterations");
      assertTrue(iterations < 80, "no early stop in " + iterations + " iterations");
      assertEquals(iterations * BATCH, run.figure("learned"));
    }
  }

  @Test
  void whatIsTooStaleIsDroppedAndCounted() throws Exception {
    try (Run run = new Run(config("stale", "ppo.max-staleness=1"), null)) {
      // Versions 1 and 2 are learned from the first two batches; what follows is two versions old.
      run.feed(rollouts(4 * BATCH)).end();
      assertEquals(List.of(1L, 2L), List.copyOf(run.published.keySet()));
      assertEquals(2 * BATCH, run.figure("learned"));
      assertEquals(2 * BATCH, run.figure("dropped/stale"));
      assertEquals(0.0, run.figures().get(1L).get("stream/policy_lag_versions"));
      assertEquals(1.0, run.figures().get(2L).get("stream/policy_lag_versions"));
    }
  }

  /** Everything there can be in a state: an inbox, a batch, a trainer, controllers, monitors. */
  private static OperatorSubtaskState someState() throws Exception {
    try (Run run = new Run(config("golden-writer"), null)) {
      return run.feed(rollouts(GOLDEN_ROLLOUTS)).snapshot();
    }
  }

  /**
   * Recorded state stays readable: Avro resolves the schema that it was written with. Run with
   * {@code -Dmillrace.write-docs=true} to record it if the file is missing; an existing file is
   * never written again.
   */
  @Test
  void readsRecordedState() throws Exception {
    if (Boolean.getBoolean("millrace.write-docs") && !Files.exists(GOLDEN)) {
      Files.write(GOLDEN, OperatorStates.bytes(someState()));
    }
    byte[] golden = Files.readAllBytes(GOLDEN);
    try (Run run = new Run(config("golden"), OperatorStates.of(golden))) {
      run.end();
      assertEquals(GOLDEN_ROLLOUTS, run.figure("rollouts"));
      assertEquals(3, run.figure("version"));
      assertEquals(3 * BATCH, run.figure("learned"));
      assertEquals(GOLDEN_ROLLOUTS - 3 * BATCH, run.figure("incomplete-batch"));
    }
  }

  @Test
  void readsAllThatItWrites() throws Exception {
    byte[] state = OperatorStates.bytes(someState());
    PpoOperator operator = new PpoOperator(config("again"));
    new OneInputStreamOperatorTestHarness<>(operator, 1, 1, 0).setup();
    assertArrayEquals(state, OperatorStates.readAndWritten(operator, state));
  }

  @Test
  void withdrawnRolloutsLeaveTheWaitingBatchAndOthersTakeTheirPlaces() throws Exception {
    List<ScoredRollout> all = rollouts(BATCH + 2);
    try (Run run = new Run(config("withdrawn"), null)) {
      run.feed(all.subList(0, 5));
      run.awaitState(state -> (long) state.get("consumed") == 5);
      assertTrue(run.stateText().contains("Hi 1"));
      run.withdraw(WithdrawnBy.ID, "p1"); // r2 and r3
      assertFalse(run.stateText().contains("Hi 1"));
      run.dieAfter(all.subList(5, 7));
      run.feed(all.subList(2, 3)).feed(all.subList(5, all.size()));
      run.end();
      assertEquals(BATCH, run.figure("learned"));
      assertEquals(2L, run.accumulator("topics/rollouts/dropped/withdrawn"));
    }
  }

  @Test
  void anIterationThatHasBegunEndsBeforeItsWithdrawalCountsAsApplied() throws Exception {
    try (Run run = new Run(config("busy", "ppo.epochs=20"), null)) {
      run.feed(rollouts(BATCH));
      run.awaitState(state -> ((List<?>) state.get("batch")).size() == BATCH);
      run.withdraw(WithdrawnBy.ID, "p1");
      run.awaitWithdrawals(1);
      assertFalse(run.stateText().contains("Hi 1"));
      run.end();
      assertEquals(BATCH, run.figure("learned"));
    }
  }
}
