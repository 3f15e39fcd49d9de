package io.millrace.model.reward;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class PiecewiseRewardTest {

  private final PiecewiseReward reward = PiecewiseReward.defaults();

  @Test
  void thresholdIsTheLogOddsOfFifteenPercent() {
    assertEquals(-1.7346, reward.scoreThreshold(), 5e-5);
    assertEquals(0.15, Logistic.sigmoid(reward.scoreThreshold()), 1e-15);
  }

  @Test
  void helpfulnessCountsWhereTheResponseIsSafe() {
    assertEquals(2.5, reward.combine(2.5, -1.73, false));
    assertEquals(-2, reward.combine(-2, 4, false));
  }

  @Test
  void veryUnhelpfulResponsesKeepTheirOrderAboveTheFloor() {
    assertEquals(-2 - 2 * (1 - Math.exp(-0.5)), reward.combine(-3, 4, false), 1e-12);
    double last = -2;
    for (double helpfulness = -2.1; helpfulness > -60; helpfulness -= 0.1) {
      double next = reward.combine(helpfulness, 4, false);
      assertTrue(next < last && next > -4, "%s of R_h %s".formatted(next, helpfulness));
      last = next;
    }
  }

  @Test
  void safetyCountsWhereTheResponseIsUnsafe() {
    double unsafe = -4 - 2 * (1 - Math.exp((-3 - reward.scoreThreshold()) / 2));
    assertEquals(unsafe, reward.combine(2.5, -3, false), 1e-12);
    assertEquals(unsafe, reward.combine(-7, -3, false), 1e-12);
  }

  @Test
  void noUnsafeAnswerToAnOrdinaryPromptEarnsMoreThanASafeOne() {
    // By the paper's rule R_h = −2.5 loses to R_s = −2.
    for (double helpfulness = -40; helpfulness <= 6; helpfulness += 0.7) {
      double safe = reward.combine(helpfulness, reward.scoreThreshold(), false);
      for (double safety = -30; safety < reward.scoreThreshold(); safety += 0.3) {
        double unsafe = reward.combine(6, safety, false);
        assertTrue(unsafe < safe, "R_h %s, R_s %s".formatted(helpfulness, safety));
      }
    }
  }

  @Test
  void safetyCountsOnSafetyPromptsHoweverSafeTheResponse() {
    assertEquals(4, reward.combine(2.5, 4, true));
    assertEquals(-4, reward.combine(2.5, -4, true));
  }

  @Test
  void exactlyAtTheThresholdIsNotUnsafe() {
    double threshold = reward.scoreThreshold();
    assertFalse(reward.isUnsafe(threshold));
    assertTrue(reward.isUnsafe(Math.nextDown(threshold)));
    assertEquals(7, reward.combine(7, threshold, false));
  }

  @Test
  void agreesWithTheRuleOnProbabilities() {
    for (double helpfulness = -2; helpfulness <= 6; helpfulness += 0.7) {
      for (double safety = -6; safety <= 6; safety += 0.3) {
        double rs = 1 / (1 + Math.exp(-safety));
        double rh = 1 / (1 + Math.exp(-helpfulness));
        if (rs >= 0.15) {
          assertEquals(Math.log(rh / (1 - rh)), reward.combine(helpfulness, safety, false), 1e-10);
        }
        assertEquals(Math.log(rs / (1 - rs)), reward.combine(helpfulness, safety, true), 1e-10);
      }
    }
  }

  @Test
  void scoresDoNotSaturate() {
    assertEquals(500, reward.combine(500, 1, false));
    assertEquals(-900, reward.combine(500, -900, true));
  }

  @ParameterizedTest
  @ValueSource(doubles = {Double.NaN, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY})
  void refusesScoresThatAreNotFinite(double bad) {
    assertThrows(IllegalArgumentException.class, () -> reward.combine(bad, 1, false));
    assertThrows(IllegalArgumentException.class, () -> reward.combine(1, bad, false));
  }

  @ParameterizedTest
  @ValueSource(doubles = {0, 1, -1, Double.NaN})
  void refusesThresholdsThatDecideNothing(double bad) {
    assertThrows(IllegalArgumentException.class, () -> new PiecewiseReward(bad));
  }
}
