package io.millrace.jobs.rewardmodel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.InitialModel;
import io.millrace.jobs.models.Opinion;
import io.millrace.schemas.Feedback;
import io.millrace.schemas.JudgedResponse;
import io.millrace.schemas.Lineage;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Role;
import io.millrace.schemas.Turn;
import java.nio.file.Path;
import java.time.Clock;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Safety labels of the topic {@code feedback}; the deadline is for a thread that hangs. */
@Timeout(240)
class FeedbackLabelsTest {

  @TempDir private static Path directory;
  private static TrainerKafka kafka;

  @BeforeAll
  static void start() throws Exception {
    kafka =
        new TrainerKafka(
            directory,
            "model.seed=7",
            "reward-model.batch-size=8",
            "reward-model.learning-rate=1e-2",
            "reward-model.publish-every=1000");
  }

  @AfterAll
  static void stop() throws Exception {
    kafka.close();
  }

  private static MillraceConfig config(String store, String... settings) {
    return kafka.config(store, settings);
  }

  private static JudgmentRun run(MillraceConfig config) throws Exception {
    MillraceConfig withInitial = InitialModel.ensure(config);
    Clock clock = Clock.fixed(TestJudgments.TIME, ZoneOffset.UTC);
    return new JudgmentRun(
        () -> new RewardModelOperator(withInitial, Objective.SAFETY, false, clock), null);
  }

  /** "Yes" is unsafe, "No" is safe. */
  private static Feedback feedback(int number) {
    return feedback(number, "app", number % 2 == 0, null);
  }

  private static Feedback feedback(int number, String source, boolean unsafe, Integer revision) {
    return Feedback.newBuilder()
        .setFeedbackId("f" + number)
        .setDialogue(List.of(new Turn(Role.USER, "Shall I go to place " + number + "?")))
        .setResponse(
            new JudgedResponse(number % 2 == 0 ? "Yes, do." : "No.", null, null, unsafe, null))
        .setAnnotator("person")
        .setSource(source)
        .setTime(TestJudgments.TIME)
        .setRevision(revision)
        .build();
  }

  private static List<Opinion> labels(int from, int to) {
    List<Opinion> all = new ArrayList<>();
    for (int i = from; i < to; i++) {
      all.add(Opinion.of(feedback(i)));
    }
    return all;
  }

  /** Judgments without labels, and labels without judgments. */
  private static List<Opinion> mixed(int from, int to) {
    List<Opinion> all = new ArrayList<>();
    for (int i = from; i < to; i++) {
      all.add(
          i % 3 == 0
              ? Opinion.of(feedback(i))
              : Opinion.of(TestJudgments.of("place " + i, Objective.SAFETY, "own")));
    }
    return all;
  }

  private static Map<String, Double> summary(JudgmentRun run) {
    return run.summary(RewardModelOperator.job(Objective.SAFETY));
  }

  @Test
  void theModelLearnsFromLabelsAlone() throws Exception {
    try (JudgmentRun run = run(config("alone", "ppo.safety-threshold=0.5"))) {
      run.feed(labels(0, 600)).end();
      Map<String, Double> summary = summary(run);
      assertEquals(600, summary.get("feedback/learned"));
      assertEquals(600, summary.get("safety_labels/count"));
      assertEquals(300, summary.get("safety_labels/unsafe"));
      // Labels are counted before they are learned: the first ones are guesses.
      assertTrue(summary.get("safety_labels/recall") > 0.6, summary.toString());
      assertTrue(summary.get("safety_labels/precision") > 0.6, summary.toString());
      assertEquals(0, summary.get("judgments"));
      assertEquals(1, run.published.size());
      List<Lineage> ofFeedback =
          run.lineage.values().stream().filter(part -> part.getTopic().equals("feedback")).toList();
      assertEquals(600, ofFeedback.getFirst().getIds().size());
      assertEquals("f0", ofFeedback.getFirst().getIds().getFirst());
      assertEquals(null, run.accumulator(RewardModelOperator.WARNINGS));
    }
  }

  @Test
  void aRunThatDiesAndResumesEndsInTheSameBits() throws Exception {
    List<Opinion> all = mixed(0, 150);
    try (JudgmentRun straight = run(config("straight"));
        JudgmentRun killed = run(config("killed"))) {
      straight.feed(all).end();
      killed.feed(all.subList(0, 40)).dieAfter(all.subList(40, 77));
      killed.feed(all.subList(40, 101)).dieAfter(all.subList(101, 110));
      killed.feed(all.subList(101, 150)).end();
      assertEquals(straight.published, killed.published);
      assertEquals(straight.lineage, killed.lineage);
      assertEquals(summary(straight), withoutRestarts(summary(killed)));
      assertEquals(50, summary(killed).get("feedback/learned"));
      assertEquals(100, summary(killed).get("judgments"));
    }
  }

  private static Map<String, Double> withoutRestarts(Map<String, Double> summary) {
    summary.remove("restarts");
    return summary;
  }

  @Test
  void labelsChangeWhatTheModelKnows() throws Exception {
    try (JudgmentRun with = run(config("with"));
        JudgmentRun without = run(config("without"))) {
      with.feed(mixed(0, 90)).end();
      without
          .feed(mixed(0, 90).stream().filter(opinion -> opinion.judgment() != null).toList())
          .end();
      assertFalse(with.published.equals(without.published));
      assertEquals(0, summary(without).get("feedback/learned"));
    }
  }

  /** Feedback that waits is replaced by its revision. */
  @Test
  void aRevisionReplacesFeedbackThatWaits() throws Exception {
    try (JudgmentRun run = run(config("revised"))) {
      run.feed(
              List.of(
                  Opinion.of(feedback(1)),
                  Opinion.of(feedback(2)),
                  Opinion.of(feedback(1, "app", true, 1))))
          .end();
      assertEquals(2, summary(run).get("feedback/learned"));
      assertEquals(2, summary(run).get("safety_labels/unsafe"));
      assertEquals(1, summary(run).get("replaced"));
    }
  }

  @Test
  void heldOutDialoguesAreNotLearnedFrom() throws Exception {
    try (JudgmentRun run = run(config("held-out", "ppo.held-out-share=0.4"))) {
      run.feed(labels(0, 100)).end();
      Map<String, Double> summary = summary(run);
      assertEquals(100, summary.get("feedback/learned") + summary.get("feedback/held-out"));
      assertTrue(summary.get("feedback/held-out") > 0, summary.toString());
      assertTrue(summary.get("feedback/learned") > 0, summary.toString());
    }
  }
}
