package io.millrace.jobs.rewardmodel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.InitialModel;
import io.millrace.jobs.runtime.Outputs;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Preferred;
import io.millrace.schemas.TrainingMetrics;
import java.nio.file.Path;
import java.time.Clock;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Annotators and sources in the operator, on a tiny model. */
@SuppressWarnings("try") // Flink's harness may throw InterruptedException from close().
class AnnotatorWeightsTest {

  private static final long SEED = 7;

  @TempDir private static Path directory;
  private static TrainerKafka kafka;

  @BeforeAll
  static void start() throws Exception {
    kafka =
        new TrainerKafka(
            directory,
            "model.seed=" + SEED,
            "annotators.weighting=reliability",
            "reward-model.batch-size=16",
            "reward-model.learning-rate=1e-2",
            "reward-model.publish-every=200");
  }

  @AfterAll
  static void stop() throws Exception {
    kafka.close();
  }

  private static MillraceConfig config(String store, String... settings) {
    return kafka.config(store, settings);
  }

  private static final class Run extends JudgmentRun {

    private final List<TrainingMetrics> annotators = new ArrayList<>();

    Run(MillraceConfig config) throws Exception {
      this(config, null);
    }

    Run(MillraceConfig config, OperatorSubtaskState state) throws Exception {
      MillraceConfig withInitial = InitialModel.ensure(config);
      super(
          () ->
              new RewardModelOperator(withInitial, Objective.HELPFULNESS, false, Clock.systemUTC()),
          state);
    }

    Map<String, Double> summary() {
      return summary(RewardModelOperator.job(Objective.HELPFULNESS));
    }

    /** The metrics of each annotator with the last published version. */
    Map<String, Double> annotators() {
      while (harness.getSideOutput(Outputs.ANNOTATORS) != null
          && !harness.getSideOutput(Outputs.ANNOTATORS).isEmpty()) {
        annotators.add(harness.getSideOutput(Outputs.ANNOTATORS).poll().getValue());
      }
      return annotators.getLast().getMetrics();
    }
  }

  /** "Yes" is right; hostile annotators prefer "No". */
  private static List<Judgment> judgments(int count, double hostile, String hostileSource) {
    SplittableRandom random = new SplittableRandom(SEED);
    List<Judgment> judgments = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      boolean wrong = random.nextDouble() < hostile;
      Judgment judgment =
          TestJudgments.of("place " + i, Objective.HELPFULNESS, wrong ? hostileSource : "own");
      judgment.setAnnotator((wrong ? "hostile-" : "careful-") + random.nextInt(4));
      if (wrong) {
        judgment.setPreferred(judgment.getPreferred() == Preferred.A ? Preferred.B : Preferred.A);
      }
      judgments.add(judgment);
    }
    return judgments;
  }

  @Test
  void hostileAnnotatorsLoseTheirWeight() throws Exception {
    try (Run run = new Run(config("hostile"))) {
      run.judge(judgments(600, 0.25, "own")).end();
      Map<String, Double> people = run.annotators();
      for (int i = 0; i < 4; i++) {
        assertEquals(0, people.get("annotator/hostile-" + i + "/weight"), people.toString());
        assertTrue(people.get("annotator/careful-" + i + "/weight") > 0.7, people.toString());
      }
      assertEquals(4, run.summary().get("annotators/weightless"));
      assertEquals(600, run.summary().get("learned"));
      double weight = run.metrics.getLast().getMetrics().get("batch/weight");
      assertTrue(weight < 0.85, "weight " + weight);
    }
  }

  @Test
  void aRunThatDiesAndResumesEndsInTheSameBits() throws Exception {
    List<Judgment> all = judgments(400, 0.3, "own");
    try (Run straight = new Run(config("straight"));
        Run killed = new Run(config("killed"))) {
      straight.judge(all).end();
      killed.judge(all.subList(0, 133)).dieAfterJudging(all.subList(133, 190));
      killed.judge(all.subList(133, all.size())).end();
      assertEquals(straight.published, killed.published);
      assertEquals(straight.summary(), killed.summary());
      assertEquals(straight.annotators(), killed.annotators());
    }
  }

  @Test
  void aHeldSourceWaitsWithNothingLost() throws Exception {
    List<Judgment> all = judgments(900, 0.3, "raid");
    long ofRaid = all.stream().filter(one -> one.getSource().equals("raid")).count();
    try (Run run = new Run(config("raid", "reward-model.shuffle-buffer=40"))) {
      run.judge(all).end();
      Map<String, Double> summary = run.summary();
      assertEquals(1, summary.get("held_back/sources"), summary.toString());
      assertEquals(1, summary.get("monitor/alarm_source_held_back"));
      assertTrue(summary.get("held_back/judgments") > ofRaid / 3.0, summary.toString());
      assertEquals(900, summary.get("learned") + summary.get("held_back/judgments"));
      assertEquals(0, summary.get("held_back/dropped"));
    }
  }

  @Test
  void whatNoLongerFitsIsCounted() throws Exception {
    List<Judgment> all = judgments(900, 0.3, "raid");
    try (Run run = new Run(config("full", "annotators.held-judgments=10"))) {
      run.judge(all.subList(0, 600)).dieAfterJudging(all.subList(600, 700));
      run.judge(all.subList(600, 900)).end();
      double dropped = run.summary().get("held_back/dropped");
      assertEquals(900, run.summary().get("learned") + 10 + dropped);
      assertEquals((long) dropped, run.accumulator("topics/judgments/dropped/held-back"));
    }
  }

  @Test
  void aReleasedSourceIsLearnedFrom() throws Exception {
    List<Judgment> all = judgments(900, 0.3, "raid");
    OperatorSubtaskState state;
    try (Run run = new Run(config("held"))) {
      state = run.judge(all).snapshot();
    }
    try (Run run = new Run(config("held", "annotators.released-sources=raid"), state)) {
      run.end();
      assertEquals(900, run.summary().get("learned"));
      assertEquals(0, run.summary().get("held_back/judgments"));
      assertEquals(0, run.summary().get("monitor/alarm_source_held_back"));
    }
  }
}
