package io.millrace.model.reward;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class JudgmentPriorityTest {

  private static final float[] ZERO = {0, 0};

  /** σ(±ln 3) = 3/4 and 1/4: the mean is 1/2, and each head has the entropy of 1/4. */
  @Test
  void workedByHand() {
    float ln3 = (float) Math.log(3);
    double entropy = -0.75 * Math.log(0.75) - 0.25 * Math.log(0.25);
    assertEquals(Math.log(2) - entropy, JudgmentPriority.of(new float[] {ln3, -ln3}, ZERO), 1e-7);
    assertEquals(0.5, JudgmentPriority.preferred(new float[] {ln3, -ln3}, ZERO), 1e-7);
    assertEquals(0.75, JudgmentPriority.preferred(new float[] {ln3, ln3}, ZERO), 1e-7);
  }

  @Test
  void headsThatAgreeNeedNoJudgment() {
    assertEquals(0, JudgmentPriority.of(new float[] {3, 3}, ZERO), 1e-12);
    assertEquals(0, JudgmentPriority.of(ZERO, ZERO), 1e-12, "a near tie that all see");
    assertEquals(0, JudgmentPriority.of(new float[0], new float[0]));
    // Heads that differ by an offset alone.
    assertEquals(0, JudgmentPriority.of(new float[] {5, -5}, new float[] {5, -5}), 1e-12);
  }

  @Test
  void disagreementAboutTheChoiceCountsMoreThanAboutTheDistance() {
    double choice = JudgmentPriority.of(new float[] {2, -2}, ZERO);
    double distance = JudgmentPriority.of(new float[] {6, 2}, ZERO);
    assertTrue(choice > 5 * distance, choice + " and " + distance);
    assertTrue(JudgmentPriority.of(new float[] {900, -900}, ZERO) <= Math.log(2));
    assertEquals(Math.log(2), JudgmentPriority.of(new float[] {900, -900}, ZERO), 1e-12);
  }

  @Test
  void refusesScoresThatAreNotFinite() {
    assertThrows(
        IllegalArgumentException.class,
        () -> JudgmentPriority.of(new float[] {Float.NaN}, new float[] {0}));
    assertThrows(
        IllegalArgumentException.class, () -> JudgmentPriority.of(new float[1], new float[2]));
  }
}
