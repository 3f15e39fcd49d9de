package io.millrace.jobs.rewardmodel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.jobs.rewardmodel.AnnotatorSection.Weighting;
import io.millrace.model.reward.RewardModelTrainer.Step;
import io.millrace.model.training.Optimizer;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Preferred;
import io.millrace.schemas.Rating;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class AnnotatorsTest {

  private static final long SEED = 3;

  private static AnnotatorSection section(String... released) {
    return new AnnotatorSection(Weighting.RELIABILITY, 500, "", 0.5, List.of(released), 3);
  }

  private static Annotators annotators(GoldTasks tasks, String... released) {
    return new Annotators(Objective.HELPFULNESS, section(released), tasks);
  }

  private static Annotators annotators(String... released) throws IOException {
    return annotators(GoldTasks.of(List.of()), released);
  }

  /** A judgment that prefers "Yes, do." (is right) or the other response. */
  private static Judgment judgment(String id, String annotator, String source, boolean right) {
    Judgment judgment = TestJudgments.of(id, Objective.HELPFULNESS, source);
    boolean a = (judgment.getPreferred() == Preferred.A) == right;
    return Judgment.newBuilder(judgment)
        .setJudgmentId(id + "/" + annotator)
        .setAnnotator(annotator)
        .setPreferred(a ? Preferred.A : Preferred.B)
        .build();
  }

  /** As a reward model scores that knows the better response. */
  private static void learn(Annotators annotators, Judgment judgment, boolean right) {
    float score = right ? 1 : -1;
    annotators.add(
        List.of(judgment),
        new Step(
            new float[] {score},
            new float[] {-score},
            new float[0],
            new float[0],
            0,
            0,
            new Optimizer.Update(1, 1, true)));
  }

  private static void learn(
      Annotators annotators, String annotator, String source, double reliability, int count) {
    SplittableRandom random = new SplittableRandom(SEED);
    for (int i = 0; i < count; i++) {
      boolean right = random.nextDouble() < reliability;
      learn(annotators, judgment(source + i, annotator, source, right), right);
    }
  }

  @Test
  void anAnnotatorsWeightFollowsFromTheirJudgments() throws Exception {
    Annotators annotators = annotators();
    double unknown = annotators.weight(judgment("x", "new", "s", true));
    learn(annotators, "careful", "s1", 0.95, 100);
    learn(annotators, "guesses", "s2", 0.5, 100);
    learn(annotators, "hostile", "s3", 0.05, 100);
    assertEquals(0.6, unknown, 0.01, "the prior is right in four of five");
    assertTrue(annotators.weight(judgment("x", "careful", "s1", true)) > 0.85);
    assertTrue(annotators.weight(judgment("x", "guesses", "s2", true)) < 0.25);
    assertEquals(0, annotators.weight(judgment("x", "hostile", "s3", true)));
    Map<String, Double> metrics = annotators.byName();
    assertEquals(3, metrics.get("annotators/count"));
    assertTrue(metrics.get("annotators/weightless") >= 1, metrics.toString());
    assertTrue(metrics.get("annotators/reliability_lowest") < 0.2, metrics.toString());
    assertEquals(
        100, annotators.byAnnotator().get("annotator/careful/judgments"), metrics.toString());
  }

  @Test
  void withoutANameTheSourceCounts() throws Exception {
    Annotators annotators = annotators();
    learn(annotators, "", "crowd", 0.5, 100);
    assertTrue(annotators.weight(judgment("x", "", "crowd", true)) < 0.25);
    assertEquals(0, annotators.byName().get("annotators/count"));
  }

  @Test
  void withoutWeightingAllCountTheSame() throws Exception {
    Annotators annotators =
        new Annotators(
            Objective.HELPFULNESS,
            new AnnotatorSection(Weighting.NONE, 500, "", 0, List.of(), 3),
            GoldTasks.of(List.of()));
    learn(annotators, "hostile", "s", 0, 100);
    learn(annotators, "careful", "t", 1, 100);
    assertEquals(1, annotators.weight(judgment("x", "hostile", "s", true)));
    assertEquals(List.of(), annotators.review(), "0 holds none back");
    assertTrue(annotators.byName().get("annotators/reliability_lowest") < 0.1);
  }

  @Test
  void aGoldTaskTestsItsAnnotatorAndIsNotLearnedFrom() throws Exception {
    Judgment known = judgment("gold", "expert", "gold", true);
    Annotators annotators = annotators(GoldTasks.of(List.of(known)));
    for (int i = 0; i < 30; i++) {
      Judgment wrong =
          Judgment.newBuilder(judgment("gold", "hostile", "own", false))
              .setResponseA(known.getResponseB())
              .setResponseB(known.getResponseA())
              .setPreferred(known.getPreferred())
              .build();
      assertTrue(annotators.takeGoldTask(wrong), "also with the responses in the other order");
    }
    assertTrue(annotators.takeGoldTask(judgment("gold", "careful", "own", true)));
    assertFalse(annotators.takeGoldTask(judgment("other", "careful", "own", true)));
    assertEquals(31, annotators.byName().get("gold_tasks/judgments"));
    assertEquals(1 / 31.0, annotators.byName().get("gold_tasks/accuracy"));
    assertEquals(0, annotators.weight(judgment("x", "hostile", "own", true)));
  }

  @Test
  void goldTasksThatContradictEachOtherAreRefused() {
    IOException e =
        assertThrows(
            IOException.class,
            () ->
                GoldTasks.of(
                    List.of(
                        judgment("gold", "one", "gold", true),
                        judgment("gold", "two", "gold", false))));
    assertTrue(e.getMessage().contains("gold/two"), e.getMessage());
  }

  @Test
  void peopleWhoJudgeTheSamePairAreCompared() throws Exception {
    Annotators annotators = annotators();
    for (int i = 0; i < 40; i++) {
      // The model has no opinion: only the others' votes speak.
      for (String annotator : List.of("a", "b", "c")) {
        Judgment judgment = judgment("p" + i, annotator, "s", !annotator.equals("c"));
        annotators.add(
            List.of(judgment),
            new Step(
                new float[1],
                new float[1],
                new float[0],
                new float[0],
                0,
                0,
                new Optimizer.Update(1, 1, true)));
      }
    }
    assertEquals(40, annotators.byName().get("agreement/pairs"));
    assertTrue(annotators.byName().get("agreement/alpha") < 0.2, annotators.byName().toString());
    assertTrue(
        annotators.weight(judgment("x", "b", "s", true))
            > annotators.weight(judgment("x", "c", "s", true)) + 0.5);
  }

  @Test
  void aSourceFarBelowTheRestIsHeldBackUntilItIsReleased() throws Exception {
    Annotators annotators = annotators();
    learn(annotators, "a", "good", 0.9, 200);
    assertEquals(List.of(), annotators.review());
    learn(annotators, "b", "bad", 0.2, 200);
    List<Annotators.Held> held = annotators.review();
    assertEquals(List.of("bad"), held.stream().map(Annotators.Held::source).toList());
    assertEquals(List.of(), annotators.review(), "once");
    assertFalse(annotators.holdBack(judgment("x", "a", "good", true)));
    for (int i = 0; i < 5; i++) {
      assertTrue(annotators.holdBack(judgment("late" + i, "c", "bad", true)));
    }
    assertEquals(0, annotators.weight(judgment("replayed", "c", "bad", true)));
    assertEquals(1, annotators.byName().get("held_back/sources"));
    assertEquals(3, annotators.byName().get("held_back/judgments"));
    assertEquals(2, annotators.byName().get("held_back/dropped"));
    assertEquals(1, annotators.byName().get("monitor/alarm_source_held_back"));

    Annotators released = annotators("bad");
    released.restore(annotators.state());
    assertEquals(
        List.of("late2/c", "late3/c", "late4/c"),
        released.takeReleased().stream().map(Judgment::getJudgmentId).toList());
    assertFalse(released.holdBack(judgment("x", "b", "bad", true)));
    assertEquals(List.of(), released.review(), "a person decided");
    assertEquals(0, released.byName().get("monitor/alarm_source_held_back"));
  }

  @Test
  void aSourceAloneIsNotHeldBack() throws Exception {
    Annotators annotators = annotators();
    learn(annotators, "b", "bad", 0.2, 200);
    assertEquals(List.of(), annotators.review());
  }

  @Test
  void positionBiasIsThatOfThePersonAndNotOfTheOrder() throws Exception {
    Annotators annotators = annotators();
    for (int i = 0; i < 200; i++) {
      Judgment right = judgment("p" + i, "careful", "s", true);
      learn(annotators, right, true);
      Judgment first =
          Judgment.newBuilder(judgment("q" + i, "first", "s", true))
              .setPreferred(Preferred.A)
              .build();
      boolean isRight = first.getResponseA().getText().startsWith("Yes");
      learn(annotators, first, isRight);
    }
    Map<String, Double> all = annotators.byAnnotator();
    assertTrue(all.get("annotator/first/position_bias") > 0.3, all.toString());
    assertTrue(
        Math.abs(all.get("annotator/careful/position_bias"))
            < 4 * all.get("annotator/careful/position_error"),
        all.toString());
  }

  @Test
  void continuesFromItsState() throws Exception {
    Annotators annotators = annotators();
    learn(annotators, "a", "good", 0.9, 100);
    learn(annotators, "b", "bad", 0.1, 100);
    annotators.review();
    annotators.holdBack(judgment("waits", "b", "bad", true));
    Annotators restored = annotators();
    restored.restore(annotators.state());
    for (Annotators both : List.of(annotators, restored)) {
      learn(both, "a", "good", 0.5, 20);
    }
    assertEquals(annotators.byName(), restored.byName());
    assertEquals(annotators.byAnnotator(), restored.byAnnotator());
  }

  @Test
  void aPairIsTheSameInEitherOrder() {
    Judgment judgment = judgment("p", "a", "s", true);
    Judgment turned =
        Judgment.newBuilder(judgment)
            .setResponseA(judgment.getResponseB())
            .setResponseB(judgment.getResponseA())
            .setPreferred(judgment.getPreferred() == Preferred.A ? Preferred.B : Preferred.A)
            .build();
    assertEquals(JudgedPair.of(judgment).key(), JudgedPair.of(turned).key());
    for (Rating rating : Rating.values()) {
      judgment.setRating(rating);
      turned.setRating(rating);
      int category = JudgedPair.of(judgment).category(judgment);
      assertEquals(category, JudgedPair.of(turned).category(turned));
      assertEquals(
          JudgedPair.of(judgment).prefersFirst(judgment), JudgedPair.prefersFirst(category));
    }
    assertFalse(
        JudgedPair.of(judgment).key() == JudgedPair.of(judgment("q", "a", "s", true)).key());
  }
}
