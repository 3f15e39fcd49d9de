package io.millrace.jobs.rewardmodel;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.connectors.checkpoint.StagedCheckpoint;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.HeldOut;
import io.millrace.jobs.models.InitialModel;
import io.millrace.jobs.models.ModelRef;
import io.millrace.jobs.models.PolicyModel;
import io.millrace.jobs.models.RewardModels;
import io.millrace.jobs.models.RuntimeSettings;
import io.millrace.jobs.runtime.Outputs;
import io.millrace.jobs.testkit.OperatorStates;
import io.millrace.model.checkpoint.CheckpointManifest;
import io.millrace.model.checkpoint.ScoreScale;
import io.millrace.model.reward.AnchoredScores;
import io.millrace.model.reward.Margin;
import io.millrace.model.reward.PiecewiseReward;
import io.millrace.model.tensor.Backend;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Lineage;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Role;
import io.millrace.schemas.TrainingMetrics;
import io.millrace.schemas.Turn;
import io.millrace.schemas.wire.JsonLines;
import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.runtime.execution.SuppressRestartsException;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The operator in Flink's harness, on a tiny model. */
@SuppressWarnings("try") // Flink's harness may throw InterruptedException from close().
class RewardModelOperatorTest {

  private static final long SEED = 7;
  private static final Duration LATENCY = Duration.ofMillis(1500);
  private static final Clock CLOCK = Clock.fixed(TestJudgments.TIME.plus(LATENCY), ZoneOffset.UTC);

  /** A recorded state; see {@link #readsRecordedState}. */
  private static final Path GOLDEN = Path.of("src/test/resources/golden-state/reward-model.bin");

  @TempDir private static Path directory;
  private static TrainerKafka kafka;

  @BeforeAll
  static void start() throws Exception {
    kafka =
        new TrainerKafka(
            directory,
            "model.seed=" + SEED,
            "reward-model.batch-size=8",
            "reward-model.learning-rate=1e-2",
            "reward-model.publish-every=50");
  }

  @AfterAll
  static void stop() throws Exception {
    kafka.close();
  }

  /** A configuration with a checkpoint store of its own. */
  private static MillraceConfig config(String store, String... settings) {
    return kafka.config(store, settings);
  }

  private static final String[] MIXED = {
    "reward-model.safety.mixing.own=0.75",
    "reward-model.safety.mixing.open=0.25",
    "reward-model.replay-capacity=16",
    "reward-model.safety.schedule-judgments=300",
  };

  /** The mix, with a shuffle buffer of this size. */
  private static String[] shuffled(int buffer) {
    String[] settings = Arrays.copyOf(MIXED, MIXED.length + 1);
    settings[MIXED.length] = "reward-model.shuffle-buffer=" + buffer;
    return settings;
  }

  /** The weights overflow after some updates; a restart would only repeat it. */
  @Test
  void aDivergedRunFailsForGoodAndNamesTheJudgments() throws Exception {
    MillraceConfig config = config("diverged");
    RewardModelSection section = config.section(RewardModelSection.class);
    MillraceConfig diverging =
        config.with(
            new RewardModelSection(
                section.objectives(),
                section.batchSize(),
                section.heads(),
                1e30,
                section.warmupFraction(),
                section.margin(),
                section.labelWeight(),
                section.feedback(),
                section.maxTokens(),
                section.truncate(),
                section.requireDifferent(),
                section.publishEvery(),
                section.maxWait(),
                section.shuffleBuffer(),
                section.replayCapacity(),
                section.anchors(),
                section.anchorCount(),
                section.alarmAnchorShift(),
                section.judgeShare(),
                section.optimizer(),
                section.helpfulness(),
                section.safety()));
    List<Judgment> judgments =
        IntStream.range(0, 400)
            .mapToObj(i -> TestJudgments.of("j" + i, Objective.HELPFULNESS, "own"))
            .toList();
    try (Run run = new Run(diverging, Objective.HELPFULNESS)) {
      Exception e = assertThrows(Exception.class, () -> run.judge(judgments).end());
      assertTrue(e instanceof SuppressRestartsException, e.toString());
      // Whether the loss or the gradient overflows first depends on the backend.
      assertTrue(
          e.getCause()
              .getMessage()
              .matches("(?s)(The loss is|8 updates in a row) .*The judgments .* are j\\d+.*"),
          e.getCause().getMessage());
    }
  }

  private static final class Run extends JudgmentRun {
    private final Objective objective;
    private final boolean judge;
    private final List<String> keys = new ArrayList<>();

    Run(MillraceConfig config, Objective objective) throws Exception {
      this(config, objective, null);
    }

    Run(MillraceConfig config, Objective objective, OperatorSubtaskState state) throws Exception {
      this(config, objective, false, state);
    }

    Run(MillraceConfig config, Objective objective, boolean judge, OperatorSubtaskState state)
        throws Exception {
      MillraceConfig withInitial = InitialModel.ensure(config);
      super(() -> new RewardModelOperator(withInitial, objective, judge, CLOCK), state);
      this.objective = objective;
      this.judge = judge;
    }

    @Override
    protected void emitted(List<StagedCheckpoint> checkpoints) {
      super.emitted(checkpoints);
      checkpoints.forEach(one -> keys.add(new String(one.key(), StandardCharsets.UTF_8)));
    }

    List<?> warnings() {
      Object warnings = accumulator(RewardModelOperator.WARNINGS);
      return warnings == null ? List.of() : (List<?>) warnings;
    }

    Map<String, Double> summary() {
      return summary(RewardModelOperator.job(objective, judge));
    }
  }

  /** Each judgment teaches one of the two models, which publish under names of their own. */
  @Test
  void aJudgeLearnsFromTheJudgmentsThatTheOtherModelDoesNotSee() throws Exception {
    MillraceConfig config = config("judges", "reward-model.judge-share=0.3");
    RewardModelSection section = config.section(RewardModelSection.class);
    List<Judgment> all =
        IntStream.range(0, 400)
            .mapToObj(i -> TestJudgments.of("place " + i, Objective.HELPFULNESS, "own"))
            .toList();
    Map<Boolean, List<Judgment>> halves =
        all.stream()
            .collect(
                Collectors.partitioningBy(
                    judgment -> section.learns(true, judgment.getJudgmentId())));
    assertEquals(0.3, halves.get(true).size() / 400.0, 0.07);
    for (Judgment judgment : all) {
      assertTrue(
          section.learns(true, judgment.getJudgmentId())
              != section.learns(false, judgment.getJudgmentId()));
    }
    RewardModelSection none = config("none").section(RewardModelSection.class);
    assertTrue(all.stream().allMatch(one -> none.learns(false, one.getJudgmentId())));
    try (Run judge = new Run(config, Objective.HELPFULNESS, true, null);
        Run optimised = new Run(config, Objective.HELPFULNESS, false, null)) {
      judge.judge(halves.get(true)).end();
      optimised.judge(halves.get(false)).end();
      assertEquals(halves.get(true).size(), judge.summary().get("learned"));
      assertEquals(halves.get(false).size(), optimised.summary().get("learned"));
      assertEquals(List.of("HELPFULNESS/judge"), judge.keys.stream().distinct().toList());
      assertEquals(List.of("HELPFULNESS"), optimised.keys.stream().distinct().toList());
      assertFalse(judge.published.get(1L).equals(optimised.published.get(1L)));
    }
  }

  private static List<Judgment> judgments(int count, Objective objective, boolean labels) {
    SplittableRandom random = new SplittableRandom(SEED);
    return Stream.generate(
            () -> {
              String id = "place " + random.nextInt(1000);
              String source = random.nextDouble() < 0.4 ? "own" : "open";
              return labels
                  ? TestJudgments.of(id, objective, source, false, random.nextBoolean())
                  : TestJudgments.of(id, objective, source);
            })
        .limit(count)
        .toList();
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 40, 1000})
  void aRunThatDiesAndResumesEndsInTheSameBits(int buffer) throws Exception {
    List<Judgment> all = judgments(330, Objective.SAFETY, true);
    String[] settings = shuffled(buffer);
    try (Run straight = new Run(config("straight-" + buffer, settings), Objective.SAFETY);
        Run killed = new Run(config("killed-" + buffer, settings), Objective.SAFETY)) {
      straight.judge(all).end();
      int from = 0;
      for (int to : new int[] {3, 101, 240}) {
        killed.judge(all.subList(from, to)).dieAfterJudging(all.subList(to, to + 60));
        from = to;
      }
      killed.judge(all.subList(from, all.size())).end();
      assertEquals(straight.published, killed.published);
      assertEquals(straight.lineage, killed.lineage);
      assertEquals(straight.summary(), killed.summary());
      assertEquals(List.of(1L, 2L, 3L, 4L, 5L, 6L, 7L), List.copyOf(straight.published.keySet()));
      assertEquals(330, straight.summary().get("learned"));
      Set<String> learned = new TreeSet<>();
      for (long version : straight.published.keySet()) {
        learned.addAll(straight.learnedBy(version));
      }
      assertEquals(
          all.stream().map(Judgment::getJudgmentId).collect(Collectors.toCollection(TreeSet::new)),
          learned);
      Lineage second = straight.lineage.get("reward-model-safety/2/0");
      assertEquals("reward-model-safety 1", second.getParentModel() + " " + second.getParent());
      assertEquals(0, straight.lineage.get("reward-model-safety/1/0").getParent());
    }
  }

  @Test
  void anAdapterThatDiesAndResumesEndsInTheSameBits() throws Exception {
    List<Judgment> all = judgments(120, Objective.SAFETY, true);
    String initial = InitialModel.ensure(config("adapter-base")).model().initial();
    String[] settings = {"model.initial=" + initial, "model.adapter.rank=3"};
    try (Run straight = new Run(config("straight-adapter", settings), Objective.SAFETY);
        Run killed = new Run(config("killed-adapter", settings), Objective.SAFETY)) {
      straight.judge(all).end();
      killed.judge(all.subList(0, 61)).dieAfterJudging(all.subList(61, 90));
      killed.judge(all.subList(61, all.size())).end();
      assertEquals(straight.published, killed.published);
      assertEquals(straight.lineage, killed.lineage);
      assertEquals(straight.summary(), killed.summary());
      assertEquals(120, straight.summary().get("learned"));
    }
  }

  @Test
  void anEnsembleThatDiesAndResumesEndsInTheSameBits() throws Exception {
    List<Judgment> all = judgments(130, Objective.SAFETY, true);
    String heads = "reward-model.heads=5";
    try (Run straight = new Run(config("straight-heads", heads), Objective.SAFETY);
        Run killed = new Run(config("killed-heads", heads), Objective.SAFETY);
        Run single = new Run(config("single-head"), Objective.SAFETY)) {
      straight.judge(all).end();
      killed.judge(all.subList(0, 61)).dieAfterJudging(all.subList(61, 90));
      killed.judge(all.subList(61, 101)).dieAfterJudging(all.subList(101, 110));
      killed.judge(all.subList(101, all.size())).end();
      assertEquals(straight.published, killed.published);
      assertEquals(straight.lineage, killed.lineage);
      assertEquals(straight.summary(), killed.summary());
      assertEquals(130, straight.summary().get("learned"));
      assertTrue(straight.summary().get("anchors/disagreement") > 0);
      assertTrue(straight.metrics.getLast().getMetrics().get("ensemble/disagreement") > 0);

      single.judge(all).end();
      assertNotEquals(straight.published, single.published);
      assertFalse(single.summary().containsKey("anchors/disagreement"));
      assertFalse(single.metrics.getLast().getMetrics().containsKey("ensemble/disagreement"));
    }
  }

  /** The mean of the heads is anchored; the heads differ where they disagree, not by an offset. */
  @Test
  void anEnsemblesHeadsAreAnchoredWithIt() throws Exception {
    List<Judgment> all = judgments(100, Objective.HELPFULNESS, false);
    MillraceConfig config =
        InitialModel.ensure(config("heads", "reward-model.anchor-count=8", "reward-model.heads=4"));
    try (Run run = new Run(config, Objective.HELPFULNESS)) {
      run.judge(all).end();
    }
    RuntimeSettings settings = new RuntimeSettings(config);
    try (Backend backend = settings.backend();
        PolicyModel initial = settings.initialPolicy(backend);
        RewardModels models =
            new RewardModels(backend, settings.checkpoints(), PiecewiseReward.defaults())) {
      JudgmentTokens tokens = new JudgmentTokens(initial.template());
      List<int[]> anchors =
          all.subList(0, 8).stream()
              .map(judgment -> tokens.pair(judgment, Margin.NONE, false))
              .flatMap(pair -> Stream.of(pair.preferred(), pair.rejected()))
              .toList();
      String version = directory + "/heads/reward-model-helpfulness/.staging/v000002";
      RewardModels.HeadScores scores =
          models.scoreHeads(Objective.HELPFULNESS, new ModelRef(2, version, ""), anchors);
      assertEquals(0, AnchoredScores.mean(scores.means()), 1e-5);
      assertEquals(1, AnchoredScores.deviation(scores.means()), 1e-5);
      double disagreement = 0;
      for (int head = 0; head < 4; head++) {
        double sum = 0;
        for (float[] of : scores.heads()) {
          assertEquals(4, of.length);
          sum += of[head];
        }
        assertEquals(0, sum / anchors.size(), 1e-5, "mean of head " + head);
      }
      for (int i = 0; i < anchors.size(); i++) {
        assertEquals(scores.means()[i], AnchoredScores.mean(scores.heads()[i]), 1e-5);
        disagreement += AnchoredScores.deviation(scores.heads()[i]) / anchors.size();
      }
      assertEquals(
          manifest("heads", Objective.HELPFULNESS, 2).metrics().get("anchors/disagreement"),
          disagreement,
          1e-5);
    }
  }

  @Test
  void aShuffleBufferKeepsJudgmentsBackUntilTheInputEnds() throws Exception {
    try (Run run = new Run(config("shuffled", shuffled(30)), Objective.SAFETY);
        Run ordered = new Run(config("ordered", MIXED), Objective.SAFETY)) {
      List<Judgment> all = judgments(100, Objective.SAFETY, true);
      run.judge(all.subList(0, 30));
      run.dieAfterJudging(List.of());
      assertEquals(List.of(), run.metrics, "there is room for all of them");
      run.judge(all.subList(30, 100)).end();
      ordered.judge(all).end();
      assertEquals(100, run.summary().get("learned"));
      assertEquals(100, run.summary().get("judgments"));
      assertEquals(ordered.published.keySet(), run.published.keySet());
      assertNotEquals(ordered.published, run.published, "in another order");
    }
  }

  @Test
  void replayedJudgmentsCountInNoMetric() throws Exception {
    try (Run run = new Run(config("replay", MIXED), Objective.SAFETY)) {
      run.judge(judgments(200, Objective.SAFETY, true)).end();
      double fresh = 0;
      double replayed = 0;
      for (TrainingMetrics step : run.metrics) {
        fresh += step.getMetrics().get("batch/fresh");
        replayed += step.getMetrics().get("batch/replayed");
      }
      assertEquals(200, fresh);
      // 60 % of what comes is open, which is to be a quarter of a batch of 8.
      assertEquals(120 / 2.0 * 8 - 200, replayed, 60);
      Map<String, Double> summary = run.summary();
      assertEquals(200, summary.get("learned"));
      assertEquals(200, summary.get("judgments"));
      assertEquals(400, summary.get("safety_labels/count"));
      double binned =
          summary.entrySet().stream()
              .filter(metric -> metric.getKey().matches("calibration/bin\\d/judgments"))
              .mapToDouble(Map.Entry::getValue)
              .sum();
      assertEquals(200, binned);
    }
  }

  @Test
  void heldOutMetricsAreInMetricsSummaryAndManifest() throws Exception {
    try (Run run = new Run(config("metrics", "ppo.safety-threshold=0.6"), Objective.SAFETY)) {
      run.judge(judgments(100, Objective.SAFETY, true)).end();
      Map<String, Double> first = run.metrics.getFirst().getMetrics();
      assertEquals(0.5, first.get("accuracy/all"), "a fresh model cannot tell");
      assertEquals(0.25, first.get("calibration/brier"));
      assertEquals(0, first.get("calibration/ece"));
      assertEquals(0, first.get("margin/all"));
      Map<String, Double> summary = run.summary();
      assertTrue(summary.get("accuracy/all") > 0.8, summary.toString());
      assertTrue(summary.get("margin/all") > 0.1, summary.toString());
      assertTrue(summary.get("calibration/brier") < 0.24, summary.toString());
      assertTrue(summary.containsKey("safety_labels/recall"), summary.toString());
      String manifest =
          Files.readString(
              directory.resolve("metrics/reward-model-safety/.staging/v000002/millrace.json"));
      for (String name : summary.keySet()) {
        assertTrue(
            run.metrics.getLast().getMetrics().containsKey(name)
                || (name.startsWith("anchors/") && manifest.contains(name))
                || List.of("version", "updates").contains(name),
            name);
      }
      for (String name :
          List.of("calibration/brier", "margin/all", "safety_labels/precision", "accuracy/all")) {
        assertTrue(summary.containsKey(name) && manifest.contains(name), name);
      }
    }
  }

  private static CheckpointManifest manifest(String store, Objective objective, int version) {
    return CheckpointManifest.read(
        directory.resolve(
            "%s/%s/.staging/v%06d/millrace.json"
                .formatted(store, RewardModelOperator.job(objective), version)));
  }

  @Test
  void everyVersionIsMeasuredOnTheAnchorsThatTheFirstJudgmentsGave() throws Exception {
    List<Judgment> all = judgments(100, Objective.HELPFULNESS, false);
    String few = "reward-model.anchor-count=10";
    try (Run run = new Run(config("anchors", few), Objective.HELPFULNESS)) {
      run.judge(all).end();
      CheckpointManifest first = manifest("anchors", Objective.HELPFULNESS, 1);
      CheckpointManifest second = manifest("anchors", Objective.HELPFULNESS, 2);
      ScoreScale scale = second.scores().orElseThrow();
      // Batches have 8 judgments: the second one fills the 10.
      assertEquals(20, scale.anchors());
      assertEquals(second.metrics().get("anchors/mean"), scale.pivot());
      assertEquals(1 / second.metrics().get("anchors/deviation"), scale.above());
      assertEquals(
          second.metrics().get("anchors/mean") - first.metrics().get("anchors/mean"),
          second.metrics().get("anchors/shift"));
      assertNotEquals(first.scores(), second.scores());
    }
  }

  /** Two versions with other weights: the same anchors have the same mean and spread. */
  @Test
  void readersOfAVersionGetAnchoredScores() throws Exception {
    List<Judgment> all = judgments(100, Objective.HELPFULNESS, false);
    MillraceConfig config = InitialModel.ensure(config("readers", "reward-model.anchor-count=8"));
    try (Run run = new Run(config, Objective.HELPFULNESS)) {
      run.judge(all).end();
    }
    RuntimeSettings settings = new RuntimeSettings(config);
    try (Backend backend = settings.backend();
        PolicyModel initial = settings.initialPolicy(backend);
        RewardModels models =
            new RewardModels(backend, settings.checkpoints(), PiecewiseReward.defaults())) {
      JudgmentTokens tokens = new JudgmentTokens(initial.template());
      List<int[]> anchors =
          all.subList(0, 8).stream()
              .map(judgment -> tokens.pair(judgment, Margin.NONE, false))
              .flatMap(pair -> Stream.of(pair.preferred(), pair.rejected()))
              .toList();
      for (int version : new int[] {1, 2}) {
        ModelRef model =
            new ModelRef(
                version,
                directory
                    .resolve("readers/reward-model-helpfulness/.staging/v00000" + version)
                    .toString(),
                "");
        float[] anchored = models.score(Objective.HELPFULNESS, model, anchors);
        assertEquals(0, AnchoredScores.mean(anchored), 1e-5);
        assertEquals(1, AnchoredScores.deviation(anchored), 1e-5);
        float[] own = models.logits(Objective.HELPFULNESS, model, anchors);
        assertNotEquals(1, AnchoredScores.deviation(own), 1e-3);
      }
    }
  }

  @Test
  void anchorsOfAFileAreTheOnlyOnes() throws Exception {
    Path file = directory.resolve("anchors.jsonl");
    List<Judgment> anchors = new ArrayList<>(judgments(6, Objective.SAFETY, true));
    anchors.addAll(judgments(3, Objective.HELPFULNESS, false));
    try (BufferedWriter out = Files.newBufferedWriter(file)) {
      for (Judgment anchor : anchors) {
        out.write(JsonLines.write(anchor));
        out.newLine();
      }
    }
    String[] settings = {"reward-model.anchors=" + file};
    try (Run run = new Run(config("given", settings), Objective.SAFETY)) {
      run.judge(judgments(50, Objective.SAFETY, true)).end();
      ScoreScale scale = manifest("given", Objective.SAFETY, 1).scores().orElseThrow();
      assertEquals(12, scale.anchors());
      assertTrue(PiecewiseReward.defaults().isAnchoredBy(scale), scale.toString());
    }
    Files.writeString(file, JsonLines.write(anchors.getFirst()) + "\nno judgment\n");
    IOException e =
        assertThrows(
            IOException.class,
            () -> JudgmentFile.anchors(config("given", settings), Objective.SAFETY));
    assertTrue(e.getMessage().contains("reward-model.anchors " + file), e.getMessage());
    assertTrue(e.getMessage().contains("line 2"), e.getMessage());
  }

  /** As the stream's judgments do; otherwise the first version would fail, again and again. */
  @Test
  void anchorsFitTheModelBeforeTheJobStarts() throws Exception {
    Path file = directory.resolve("long.jsonl");
    String[] settings = {"reward-model.anchors=" + file};
    MillraceConfig config = InitialModel.ensure(config("long", settings));
    Judgment judgment = judgments(1, Objective.SAFETY, true).getFirst();
    List<Turn> turns = new ArrayList<>();
    for (int i = 0; i < 400; i++) {
      turns.add(new Turn(Role.USER, "How is the weather today? " + i));
      turns.add(new Turn(Role.ASSISTANT, "It is fine."));
    }
    turns.addAll(judgment.getDialogue());
    Files.writeString(
        file,
        JsonLines.write(Judgment.newBuilder(judgment).setDialogue(turns).build())
            + System.lineSeparator());
    List<Judgment> shortened = JudgmentFile.anchors(config, Objective.SAFETY);
    assertTrue(shortened.getFirst().getDialogue().size() < turns.size());

    judgment.getResponseA().setText("word ".repeat(10_000));
    Files.writeString(file, JsonLines.write(judgment));
    IOException e =
        assertThrows(IOException.class, () -> JudgmentFile.anchors(config, Objective.SAFETY));
    assertTrue(e.getMessage().contains("reward-model.anchors " + file), e.getMessage());
    assertTrue(e.getMessage().contains(judgment.getJudgmentId()), e.getMessage());
    assertTrue(e.getMessage().contains("too-long"), e.getMessage());
  }

  @Test
  void aShiftOfTheSafetyScoresRaisesAnAlarm() throws Exception {
    List<Judgment> all = judgments(100, Objective.SAFETY, true);
    for (String limit : List.of("1e-9", "1e6")) {
      String store = "shift-" + limit;
      try (Run run =
          new Run(config(store, "reward-model.alarm-anchor-shift=" + limit), Objective.SAFETY)) {
        run.judge(all).end();
        assertEquals(
            limit.equals("1e-9") ? 1 : 0,
            run.summary().get("monitor/alarm_anchor_shift"),
            run.summary().toString());
      }
    }
  }

  @Test
  void heldOutDialoguesAreScoredByEveryVersionAndNeverLearnedFrom() throws Exception {
    List<Judgment> all = judgments(200, Objective.HELPFULNESS, false);
    HeldOut quarter = new HeldOut(0.25);
    List<Judgment> others =
        all.stream().filter(judgment -> !quarter.contains(judgment.getDialogue())).toList();
    String[] settings = {
      "model.initial=" + InitialModel.ensure(config("held-out-base")).model().initial(),
      "ppo.held-out-share=0.25"
    };
    try (Run run = new Run(config("held-out", settings), Objective.HELPFULNESS);
        Run without = new Run(config("never-came", settings), Objective.HELPFULNESS)) {
      run.judge(all.subList(0, 90)).dieAfterJudging(all.subList(90, 130));
      run.judge(all.subList(90, 200)).end();
      without.judge(others).end();
      Map<String, Double> summary = run.summary();
      assertEquals(200 - others.size(), summary.get("held-out"));
      assertEquals(others.size(), summary.get("learned"));
      assertEquals(200 - others.size(), summary.get("held_out/judgments"));
      assertTrue(summary.get("held_out/accuracy") > 0.8, summary.toString());
      assertEquals(without.summary().get("loss"), summary.get("loss"));
      assertEquals(0, without.summary().get("held-out"));
    }
  }

  @Test
  void theTimeFromAJudgmentToItsUpdateIsMeasured() throws Exception {
    try (Run run = new Run(config("latency"), Objective.HELPFULNESS)) {
      run.judge(judgments(8, Objective.HELPFULNESS, false)).end();
      assertEquals(
          LATENCY.toMillis(),
          run.metrics.getFirst().getMetrics().get("stream/judgment_latency_ms"));
    }
  }

  @Test
  void aSafetyModelThatSawNoLabelWarnsThatItsThresholdMeansNothing() throws Exception {
    try (Run silent = new Run(config("no-labels"), Objective.SAFETY);
        Run labelled = new Run(config("labels"), Objective.SAFETY);
        Run helpful = new Run(config("helpful"), Objective.HELPFULNESS)) {
      silent.judge(judgments(10, Objective.SAFETY, false)).end();
      List<?> warnings = silent.warnings();
      assertEquals(1, warnings.size());
      assertTrue(
          warnings.getFirst().toString().contains("none of its 10 judgments has a safety label"),
          warnings.toString());
      labelled.judge(judgments(10, Objective.SAFETY, true)).end();
      helpful.judge(judgments(10, Objective.HELPFULNESS, false)).end();
      assertEquals(List.of(), labelled.warnings());
      assertEquals(List.of(), helpful.warnings());
    }
  }

  @Test
  void onlyTheSafetyModelLearnsSafetyLabels() throws Exception {
    try (Run with = new Run(config("with"), Objective.HELPFULNESS);
        Run without = new Run(config("without"), Objective.HELPFULNESS)) {
      List<Judgment> labelled = judgments(40, Objective.HELPFULNESS, true);
      List<Judgment> bare =
          labelled.stream()
              .map(
                  judgment ->
                      TestJudgments.of(
                          judgment.getJudgmentId(), Objective.HELPFULNESS, judgment.getSource()))
              .toList();
      with.judge(labelled).end();
      without.judge(bare).end();
      assertEquals(without.published, with.published);
      assertFalse(with.summary().containsKey("safety_labels/count"));
    }
  }

  @Test
  void theLastJudgmentOfAScheduleIsPublishedAtATenthOfTheRate() throws Exception {
    MillraceConfig config =
        config(
            "schedule",
            "reward-model.publish-every=1000",
            "reward-model.helpfulness.schedule-judgments=64");
    try (Run run = new Run(config, Objective.HELPFULNESS)) {
      run.judge(judgments(80, Objective.HELPFULNESS, false)).end();
      List<Double> rates = run.metrics.stream().map(step -> step.getMetrics().get("lr")).toList();
      assertEquals(1e-2 / 5, rates.getFirst(), 1e-15);
      assertEquals(1e-2, rates.get(4), 1e-15);
      assertEquals(1e-3, rates.get(7), 1e-15);
      assertEquals(1e-3, rates.getLast(), 1e-15);
      assertEquals(2, run.published.size(), "with the schedule's end, and with the input's");
    }
  }

  @Test
  void judgmentsOfTheOtherObjectiveAreLearnedFromAndNotCounted() throws Exception {
    MillraceConfig config =
        config(
            "both",
            "reward-model.helpfulness.mixing.*=0.5",
            "reward-model.helpfulness.mixing.safety/own=0.5");
    try (Run run = new Run(config, Objective.HELPFULNESS)) {
      for (int i = 0; i < 20; i++) {
        run.judge(
            List.of(
                TestJudgments.of("h" + i, Objective.HELPFULNESS, "any"),
                TestJudgments.of("s" + i, Objective.SAFETY, "own")));
      }
      run.end();
      Map<String, Double> summary = run.summary();
      assertEquals(40, summary.get("learned"));
      assertEquals(5, summary.get("updates"));
      double binned =
          summary.entrySet().stream()
              .filter(metric -> metric.getKey().matches("calibration/bin\\d/judgments"))
              .mapToDouble(Map.Entry::getValue)
              .sum();
      assertEquals(20, binned);
    }
  }

  @Test
  void anIncompleteBatchIsLearnedFromWhenItHasWaitedForLongEnough() throws Exception {
    try (Run run = new Run(config("wait", "reward-model.max-wait=1s"), Objective.HELPFULNESS)) {
      run.judge(judgments(3, Objective.HELPFULNESS, false));
      long deadline = System.nanoTime() + Duration.ofSeconds(30).toNanos();
      long now = 0;
      while (run.harness.getSideOutput(Outputs.METRICS) == null) {
        assertTrue(System.nanoTime() < deadline, "three judgments wait for ever");
        run.snapshot(); // Has the task's thread do what training asked of it: set the timer.
        run.harness.setProcessingTime(now += 600);
      }
      run.collect();
      assertEquals(3, run.metrics.getFirst().getMetrics().get("batch/fresh"));
    }
  }

  /** A state with all parts: inbox, shuffle buffer, queues, replay buffers, labels. */
  private static OperatorSubtaskState someState() throws Exception {
    try (Run run = new Run(config("golden-writer", shuffled(20)), Objective.SAFETY)) {
      run.judge(judgments(101, Objective.SAFETY, true));
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
    MillraceConfig config = config("golden", shuffled(20));
    try (Run run = new Run(config, Objective.SAFETY, OperatorStates.of(golden))) {
      run.end();
      assertEquals(101, run.summary().get("learned"));
      assertEquals(202, run.summary().get("safety_labels/count"));
      assertEquals(run.summary().get("version"), run.published.lastKey().doubleValue());
    }
  }

  @Test
  void readsAllThatItWrites() throws Exception {
    byte[] state = OperatorStates.bytes(someState());
    RewardModelOperator operator =
        new RewardModelOperator(
            InitialModel.ensure(config("again", shuffled(20))), Objective.SAFETY, false, CLOCK);
    assertArrayEquals(state, OperatorStates.readAndWritten(operator, state));
  }
}
