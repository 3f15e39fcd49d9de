package io.millrace.jobs.preference;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.millrace.jobs.preference.PreferenceSection.LearnedObjective;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Label;
import io.millrace.schemas.Objective;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class LabelsTest {

  @ParameterizedTest
  @CsvSource({
    // label, score, unsafe: helpfulness, safety, both
    "UP,   ,    ,      true,  none,  true",
    "DOWN, ,    ,      false, none,  false",
    "UP,   0.1, ,      true,  none,  true",
    ",     0.9, ,      true,  none,  true",
    ",     0.1, ,      false, none,  false",
    ",     0.5, ,      none,  none,  none",
    "UP,   ,    true,  true,  false, false",
    "DOWN, ,    false, false, true,  false",
    ",     ,    false, none,  true,  none",
    ",     ,    true,  none,  false, false",
  })
  void aFeedbackSaysWhetherItsResponseIsDesirable(
      Label label, Float score, Boolean unsafe, String helpful, String safe, String both) {
    assertEquals(helpful, ofFeedback(label, score, unsafe, LearnedObjective.HELPFULNESS));
    assertEquals(safe, ofFeedback(label, score, unsafe, LearnedObjective.SAFETY));
    assertEquals(both, ofFeedback(label, score, unsafe, LearnedObjective.BOTH));
  }

  private static String ofFeedback(
      Label label, Float score, Boolean unsafe, LearnedObjective objective) {
    return Labels.isDesirable(TestOpinions.feedback(0, label, score, unsafe), objective)
        .map(String::valueOf)
        .orElse("none");
  }

  @ParameterizedTest
  @CsvSource({
    // judged for, chosen, unsafe: learned for helpfulness, for both
    "HELPFULNESS, true,  ,      true,  true",
    "HELPFULNESS, false, ,      false, false",
    "HELPFULNESS, true,  true,  true,  false",
    "HELPFULNESS, false, false, false, false",
    "SAFETY,      false, false, false, true",
    "SAFETY,      true,  true,  true,  false",
    "SAFETY,      true,  false, true,  true",
  })
  void aJudgmentSaysIt(
      Objective judged, boolean chosen, Boolean unsafe, boolean helpful, boolean both) {
    Judgment judgment = TestOpinions.judgment(0, null);
    judgment.setObjective(judged);
    judgment.getResponseA().setUnsafe(unsafe);
    assertEquals(
        helpful,
        Labels.isDesirable(
            judgment, judgment.getResponseA(), chosen, LearnedObjective.HELPFULNESS));
    assertEquals(
        both, Labels.isDesirable(judgment, judgment.getResponseA(), chosen, LearnedObjective.BOTH));
  }
}
