package io.millrace.jobs.preference;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.connectors.broker.EmbeddedBroker;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.jobs.config.ConfigException;
import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.InitialModel;
import io.millrace.jobs.models.Opinion;
import io.millrace.jobs.runtime.JobSettings;
import io.millrace.jobs.testkit.OperatorRun;
import io.millrace.jobs.testkit.OperatorStates;
import io.millrace.schemas.Feedback;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Label;
import io.millrace.schemas.Objective;
import io.millrace.schemas.TrainingMetrics;
import io.millrace.schemas.WithdrawnBy;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.apache.avro.generic.GenericRecord;
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
class PreferenceOperatorTest {

  /** A recorded state; see {@link #readsRecordedState}. */
  private static final Path GOLDEN = Path.of("src/test/resources/golden-state/preference.bin");

  /** Opinions that went into the recorded state: not a multiple of a batch. */
  private static final int GOLDEN_OPINIONS = 22;

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
  private static MillraceConfig config(String store, String... settings) throws Exception {
    List<String> all =
        new ArrayList<>(
            List.of(
                "kafka.bootstrap-servers=" + broker.bootstrapServers(),
                "checkpoints.directory=" + directory.resolve(store),
                "model.seed=13",
                "preference.batch-size=4",
                "preference.learning-rate=1e-3",
                "preference.shuffle-buffer=3",
                "preference.epochs=2",
                "preference.publish-every=16"));
    all.addAll(OperatorRun.TINY_MODEL);
    all.addAll(List.of(settings));
    return InitialModel.ensure(ConfigLoader.load(Optional.empty(), all));
  }

  private static final class Run extends OperatorRun<Opinion> {

    Run(MillraceConfig config, OperatorSubtaskState state) throws Exception {
      super(() -> new PreferenceOperator(config, true), state);
    }

    Map<String, Double> summary() {
      return summary(PreferenceOperator.JOB);
    }

    Map<String, Double> metrics(int update) {
      return metrics.get(update).getMetrics();
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"dpo", "ipo", "kto"})
  void aRunThatDiesAndResumesEndsInTheSameBits(String loss) throws Exception {
    String[] settings = {"preference.loss=" + loss};
    boolean pairs = !loss.equals("kto");
    List<Opinion> opinions = pairs ? TestOpinions.judgments(0, 41) : TestOpinions.mixed(0, 41);
    try (Run straight = new Run(config(loss + "-straight", settings), null);
        Run killed = new Run(config(loss + "-killed", settings), null)) {
      straight.feed(opinions).end();
      killed.feed(opinions.subList(0, 3)).dieAfter(opinions.subList(3, 8));
      killed.feed(opinions.subList(3, 26)).dieAfter(opinions.subList(26, 37));
      killed.feed(opinions.subList(26, 41)).end();
      assertEquals(straight.published, killed.published);
      assertEquals(straight.summary(), killed.summary());
      assertEquals(41, straight.summary().get("judgments") + straight.summary().get("feedback"));
      // 41 pairs; or 27 judgments with two labels each, and 14 feedbacks: in two passes.
      assertEquals(2 * (pairs ? 41 : 68), straight.summary().get("learned"));
      assertTrue(straight.published.size() >= 5, straight.published.toString());
    }
  }

  /** At the beginning the policy is π_0: every implicit reward is 0, up to rounding. */
  @ParameterizedTest
  @ValueSource(strings = {"dpo", "ipo", "kto"})
  void learnsToPreferWhatPeoplePrefer(String loss) throws Exception {
    MillraceConfig config =
        config(
            loss + "-learns",
            "preference.loss=" + loss,
            "preference.beta=1",
            "preference.learning-rate=3e-2",
            "preference.epochs=6");
    try (Run run = new Run(config, null)) {
      run.feed(loss.equals("kto") ? TestOpinions.mixed(0, 40) : TestOpinions.judgments(0, 40))
          .end();
      Map<String, Double> first = run.metrics(0);
      assertEquals(0, first.get("rewards/margins"), 1e-4);
      assertEquals(
          Map.of("dpo", Math.log(2), "ipo", 0.25, "kto", 0.5).get(loss), first.get("loss"), 1e-4);
      Map<String, Double> last = run.metrics.getLast().getMetrics();
      assertTrue(last.get("rewards/margins") > 0.4, last.toString());
      assertTrue(last.get("loss") < 0.75 * first.get("loss"), last.toString());
      assertEquals(5, last.get("epoch"));
    }
  }

  @Test
  void metricsHaveTheNamesOfTrl() throws Exception {
    try (Run pairs = new Run(config("names-dpo"), null);
        Run labels = new Run(config("names-kto", "preference.loss=kto"), null)) {
      pairs.feed(List.of(versioned(0, 0), versioned(1, 0))).feed(TestOpinions.judgments(2, 8));
      pairs.end();
      for (String name :
          List.of(
              "rewards/chosen",
              "rewards/rejected",
              "rewards/margins",
              "rewards/accuracies",
              "logps/chosen",
              "logps/rejected",
              "loss",
              "lr",
              "gradient_norm",
              "learned",
              "version")) {
        assertTrue(pairs.metrics(0).containsKey(name), name);
      }
      assertTrue(
          pairs.metrics.stream().anyMatch(m -> m.getMetrics().containsKey("objective/kl")),
          "two responses are samples of a policy version");
      labels.feed(TestOpinions.mixed(0, 8)).end();
      assertTrue(labels.metrics(0).get("kl") >= 0);
      assertTrue(labels.metrics(0).containsKey("labels/desirable"));
      assertTrue(labels.metrics.stream().noneMatch(PreferenceOperatorTest::hasKlOfSamples));
    }
  }

  private static boolean hasKlOfSamples(TrainingMetrics metrics) {
    return metrics.getMetrics().containsKey("objective/kl");
  }

  private static Opinion versioned(int i, long version) {
    return Opinion.of(TestOpinions.judgment(i, version));
  }

  /** The first version is 1: what version 0 sampled is one version old from then on. */
  @Test
  void opinionsOfOldResponsesAreDroppedAndCounted() throws Exception {
    MillraceConfig config =
        config(
            "stale",
            "preference.max-staleness=0",
            "preference.shuffle-buffer=0",
            "preference.epochs=1",
            "preference.publish-every=4");
    try (Run run = new Run(config, null)) {
      for (int i = 0; i < 4; i++) {
        run.feed(List.of(versioned(i, 0)));
      }
      // Version 1 is published before these are taken.
      run.feed(List.of(versioned(4, 0), versioned(5, 1)));
      run.dieAfter(List.of());
      run.feed(TestOpinions.judgments(6, 9)).end();
      assertEquals(1, run.summary().get("dropped/stale"));
      assertEquals(8, run.summary().get("learned"), "those without a version are not stale");
      assertEquals(1L, run.accumulator("topics/judgments/dropped/stale"));
      assertEquals(0L, run.accumulator("topics/judgments/dropped/no-version"));
    }
  }

  /** An example that waits in the shuffle buffer grows old there. */
  @Test
  void anExampleMayBecomeStaleWhileItWaits() throws Exception {
    MillraceConfig config =
        config(
            "waits",
            "preference.max-staleness=0",
            "preference.shuffle-buffer=4",
            "preference.epochs=1",
            "preference.publish-every=4");
    try (Run run = new Run(config, null)) {
      List<Opinion> opinions = new ArrayList<>();
      for (int i = 0; i < 8; i++) {
        opinions.add(versioned(i, 0));
      }
      run.feed(opinions).end();
      assertEquals(4, run.summary().get("learned"));
      assertEquals(4, run.summary().get("dropped/stale"));
      assertEquals(1, run.summary().get("version"));
    }
  }

  /** A judgment has two labels; it is dropped if none of them is learned from. */
  @Test
  void aStaleJudgmentCountsOnceWhateverItsLabelsAndPasses() throws Exception {
    MillraceConfig config =
        config(
            "stale-labels",
            "preference.loss=kto",
            "preference.max-staleness=0",
            "preference.shuffle-buffer=20",
            "preference.epochs=3",
            "preference.publish-every=4");
    try (Run run = new Run(config, null)) {
      List<Opinion> opinions = new ArrayList<>();
      for (int i = 0; i < 12; i++) {
        opinions.add(versioned(i, 0));
      }
      run.feed(opinions.subList(0, 9)).dieAfter(List.of());
      run.feed(opinions.subList(9, 12)).end();
      assertEquals(4, run.summary().get("learned"), "labels, before version 1");
      long learnedFrom =
          run.lineage.values().stream().mapToLong(part -> part.getIds().size()).sum();
      assertTrue(learnedFrom >= 2 && learnedFrom <= 4, "judgments " + learnedFrom);
      assertEquals(12 - learnedFrom, run.summary().get("dropped/stale"));
    }
  }

  @Test
  void onlineLearnsFromSamplesOfPoliciesAlone() throws Exception {
    MillraceConfig config =
        config("online", "preference.online=true", "preference.loss=kto", "preference.epochs=1");
    Judgment half = TestOpinions.judgment(3, null);
    half.getResponseA().setPolicyVersion(0L);
    Feedback sampled = TestOpinions.feedback(4, Label.UP, null, null);
    sampled.getResponse().setPolicyVersion(0L);
    try (Run run = new Run(config, null)) {
      run.feed(
          List.of(
              versioned(0, 0),
              Opinion.of(TestOpinions.judgment(1, null)),
              Opinion.of(half),
              Opinion.of(sampled),
              Opinion.of(TestOpinions.feedback(5, Label.UP, null, null))));
      run.end();
      assertEquals(3, run.summary().get("learned"), "two responses and a feedback");
      assertEquals(2L, run.accumulator("topics/judgments/dropped/no-version"));
      assertEquals(1L, run.accumulator("topics/feedback/dropped/no-version"));
      assertEquals(3, run.summary().get("dropped/no-version"));
    }
  }

  @Test
  void whatIsNotOfTheObjectiveIsDroppedAndCounted() throws Exception {
    MillraceConfig config =
        config(
            "objective",
            "preference.objective=safety",
            "preference.loss=kto",
            "preference.epochs=1");
    Judgment safety = TestOpinions.judgment(1, null);
    safety.setObjective(Objective.SAFETY);
    try (Run run = new Run(config, null)) {
      run.feed(
          List.of(
              Opinion.of(TestOpinions.judgment(0, null)),
              Opinion.of(safety),
              Opinion.of(TestOpinions.feedback(2, Label.UP, null, null)),
              Opinion.of(TestOpinions.feedback(3, null, null, true))));
      run.end();
      assertEquals(3, run.summary().get("learned"));
      assertEquals(1L, run.accumulator("topics/judgments/dropped/other-objective"));
      assertEquals(1L, run.accumulator("topics/feedback/dropped/no-label"));
    }
  }

  @Test
  void whatIsWithdrawnLeavesTheBatchTheBufferAndLaterPasses() throws Exception {
    MillraceConfig config =
        config("withdrawn", "preference.batch-size=2", "preference.publish-every=1000");
    try (Run run = new Run(config, null)) {
      run.feed(TestOpinions.judgments(0, 5));
      run.awaitState(state -> (long) state.get("judgments") == 5);
      run.withdraw(WithdrawnBy.ID, "j1");
      run.withdraw(WithdrawnBy.ID, "j4");
      GenericRecord state = run.state();
      String text = state.toString();
      for (int i = 0; i < 5; i++) {
        assertEquals(i != 1 && i != 4, text.contains("\"j" + i + "\""), text);
      }
      run.end();
      // 0, 2 and 3 in two passes; nothing was learned before the withdrawals.
      assertEquals(6, run.summary().get("learned"));
      assertEquals(2L, run.accumulator("topics/judgments/dropped/withdrawn"));
    }
  }

  @Test
  void aRevisionReplacesTheFormerRecord() throws Exception {
    MillraceConfig config = config("revised", "preference.batch-size=100");
    Judgment revised = TestOpinions.judgment(2, null);
    revised.setRevision(1);
    try (Run run = new Run(config, null)) {
      run.feed(TestOpinions.judgments(0, 4)).feed(List.of(Opinion.of(revised))).end();
      assertEquals(8, run.summary().get("learned"), "two passes over four");
      assertEquals(1, run.summary().get("replaced"));
    }
  }

  /** Labels of one prompt alone have no mismatched pair: the reference point is 0. */
  @Test
  void aSinglePromptHasNoMismatchedPair() throws Exception {
    try (Run run = new Run(config("single", "preference.loss=kto"), null)) {
      run.feed(TestOpinions.judgments(1, 2)).end();
      assertEquals(0, run.metrics(0).get("kl"));
      assertEquals(4, run.summary().get("learned"), "two labels in two passes");
    }
  }

  @Test
  void theMarginAndTheLossChangeTheWeights() throws Exception {
    List<String> digests = new ArrayList<>();
    for (List<String> settings :
        List.of(
            List.of("preference.loss=dpo"),
            List.of("preference.loss=dpo", "preference.margin=large"),
            List.of("preference.loss=dpo", "preference.label-smoothing=0.2"),
            List.of("preference.loss=ipo"),
            List.of("preference.loss=kto"),
            List.of("preference.loss=kto", "preference.undesirable-weight=3"))) {
      String[] options = settings.toArray(new String[0]);
      try (Run run = new Run(config("option-" + digests.size(), options), null)) {
        run.feed(TestOpinions.judgments(0, 12)).end();
        String digest = run.published.lastEntry().getValue();
        digests.forEach(other -> assertNotEquals(other, digest, settings.toString()));
        digests.add(digest);
      }
    }
  }

  @Test
  void optionsThatDoNotFitTheLossAreRefused() {
    assertThrows(
        ConfigException.class,
        () -> config("refused", "preference.loss=kto", "preference.margin=small"));
    assertThrows(
        ConfigException.class,
        () -> config("refused", "preference.loss=ipo", "preference.label-smoothing=0.1"));
  }

  /** The weights overflow after some updates; a restart would only repeat it. */
  @Test
  void aDivergedRunFailsForGoodAndNamesTheRecords() throws Exception {
    MillraceConfig config =
        config("diverged", "preference.learning-rate=1", "preference.optimizer.weight-decay=10");
    try (Run run = new Run(config, null)) {
      Exception e =
          assertThrows(
              Exception.class,
              () -> {
                for (int i = 0; i < 400; i += 40) {
                  run.feed(TestOpinions.judgments(i, i + 40));
                }
                run.end();
              });
      assertTrue(e instanceof SuppressRestartsException, e.toString());
      assertTrue(e.getCause().getMessage().matches("(?s).*j\\d+.*"), e.getCause().getMessage());
    }
  }

  /** A truncated response ends without an end token. */
  @Test
  void aTruncatedResponseHasNoEndToken() throws Exception {
    try (Run run = new Run(config("truncated", "preference.epochs=1"), null)) {
      run.feed(List.of(Opinion.of(TestOpinions.judgment(1, null)))).end();
      double ended = run.metrics(0).get("logps/rejected");
      try (Run other = new Run(config("truncated", "preference.epochs=1"), null)) {
        Judgment judgment = TestOpinions.judgment(1, null);
        judgment.getResponseA().setTruncated(true);
        other.feed(List.of(Opinion.of(judgment))).end();
        assertTrue(other.metrics(0).get("logps/rejected") > ended, "one token less is more likely");
      }
    }
  }

  /** A state with all parts: an inbox, records before scoring, buffer, batch, kept examples. */
  private static OperatorSubtaskState someState() throws Exception {
    try (Run run = new Run(config("golden-writer", "preference.loss=kto"), null)) {
      run.feed(TestOpinions.mixed(0, GOLDEN_OPINIONS));
      run.feed(List.of(versioned(100, -9)));
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
    try (Run run = new Run(config("golden", "preference.loss=kto"), OperatorStates.of(golden))) {
      run.end();
      assertEquals(
          GOLDEN_OPINIONS + 1, run.summary().get("judgments") + run.summary().get("feedback"));
      // 14 judgments with two labels each, and 8 feedbacks: in two passes.
      assertEquals(2 * 36, run.summary().get("learned"));
      assertEquals(1, run.summary().get("dropped/stale"));
    }
  }

  @Test
  void readsAllThatItWrites() throws Exception {
    byte[] state = OperatorStates.bytes(someState());
    PreferenceOperator operator =
        new PreferenceOperator(config("again", "preference.loss=kto"), true);
    assertArrayEquals(state, OperatorStates.readAndWritten(operator, state));
  }
}
