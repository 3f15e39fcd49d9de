package io.millrace.model.reward;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.model.checkpoint.ScoreScale;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class AnchoredScoresTest {

  private static final PiecewiseReward RULE = PiecewiseReward.defaults();

  private static float[] map(ScoreScale scale, float[] scores) {
    float[] mapped = new float[scores.length];
    for (int i = 0; i < scores.length; i++) {
      mapped[i] = scale.anchored(scores[i]);
    }
    return mapped;
  }

  @Test
  void helpfulnessHasMeanZeroAndDeviationOneOnTheAnchors() {
    // Mean 5, deviation 2.
    ScoreScale scale = AnchoredScores.helpfulness(new float[] {3, 7, 3, 7});
    assertEquals(new ScoreScale(4, 5, 0, 0.5, 0.5), scale);
    assertEquals(2.5f, scale.anchored(10));
  }

  @Test
  void aDriftOfZeroAndSpreadDisappears() {
    SplittableRandom random = new SplittableRandom(11);
    float[] before = new float[64];
    float[] after = new float[64];
    for (int i = 0; i < before.length; i++) {
      before[i] = (float) random.nextGaussian();
      after[i] = 3 * before[i] - 7;
    }
    float[] anchoredBefore = map(AnchoredScores.helpfulness(before), before);
    float[] anchoredAfter = map(AnchoredScores.helpfulness(after), after);
    for (int i = 0; i < before.length; i++) {
      assertEquals(anchoredBefore[i], anchoredAfter[i], 1e-5);
    }
    assertEquals(0, AnchoredScores.mean(anchoredAfter), 1e-6);
    assertEquals(1, AnchoredScores.deviation(anchoredAfter), 1e-6);
  }

  @Test
  void safeAnchorsLieOneAboveTheThresholdAndUnsafeOnesOneBelow() {
    double threshold = Math.log(0.15 / 0.85);
    float[] scores = new float[32];
    for (int i = 0; i < scores.length; i++) {
      // Safe ones at 5.1 in the mean, as the quickstart saw after 8.1; unsafe ones at −4.
      scores[i] = (i % 2 == 0 ? 5.1f : -4f) + (i % 4 < 2 ? 0.5f : -0.5f);
    }
    ScoreScale scale = AnchoredScores.safety(scores, RULE);
    float[] anchored = map(scale, scores);
    double safe = 0;
    double unsafe = 0;
    for (int i = 0; i < scores.length; i++) {
      if (i % 2 == 0) {
        safe += anchored[i] / 16;
      } else {
        unsafe += anchored[i] / 16;
      }
    }
    assertEquals(threshold + 1, safe, 1e-6);
    assertEquals(threshold - 1, unsafe, 1e-6);
    assertTrue(RULE.isAnchoredBy(scale));
    assertFalse(new PiecewiseReward(0.2).isAnchoredBy(scale));
  }

  @Test
  void aSideWithFewAnchorsTakesTheSlopeOfAll() {
    float[] scores = new float[10];
    Arrays.fill(scores, (float) Math.log(0.15 / 0.85) + 4);
    scores[0] -= 8;
    ScoreScale scale = AnchoredScores.safety(scores, RULE);
    assertEquals(0.25, scale.below(), 1e-6);
    assertEquals(0.25, scale.above(), 1e-6);
  }

  /** A run had slopes of 19.9 below the threshold and 0.27 above it, for one version. */
  @Test
  void aSideIsAtMostFourTimesAsSteepAsAll() {
    float[] scores = new float[256];
    Arrays.fill(scores, (float) Math.log(0.15 / 0.85) + 4);
    for (int i = 0; i < 10; i++) {
      scores[i] = (float) Math.log(0.15 / 0.85) - 0.05f;
    }
    ScoreScale scale = AnchoredScores.safety(scores, RULE);
    double all = (246 * 4 + 10 * 0.05) / 256;
    assertEquals(4 / all, scale.below(), 1e-5);
    assertEquals(0.25, scale.above(), 1e-5);
  }

  @Test
  void noScoreChangesItsSideOfTheThreshold() {
    for (double threshold : new double[] {0.15, 0.5, 0.3, 1e-3}) {
      PiecewiseReward rule = new PiecewiseReward(threshold);
      float[] anchors = new float[20];
      for (int i = 0; i < anchors.length; i++) {
        anchors[i] = (float) (1e-3 * (i - 10) + Math.log(threshold / (1 - threshold)));
      }
      ScoreScale scale = AnchoredScores.safety(anchors, rule);
      float score = (float) Math.log(threshold / (1 - threshold));
      for (int i = 0; i < 40; i++) {
        score = Math.nextDown(score);
      }
      float last = Float.NEGATIVE_INFINITY;
      for (int i = 0; i < 80; i++) {
        float anchored = scale.anchored(score);
        assertEquals(rule.isUnsafe(score), rule.isUnsafe(anchored), score + " -> " + anchored);
        assertTrue(anchored >= last, "order of " + score);
        last = anchored;
        score = Math.nextUp(score);
      }
    }
  }

  @Test
  void scoresOfAModelThatLearnedNothingStay() {
    ScoreScale scale = AnchoredScores.helpfulness(new float[] {0, 0, 0});
    assertEquals(1.5f, scale.anchored(1.5f));
    assertEquals(1, AnchoredScores.safety(new float[] {-1.7346f, -1.7346f}, RULE).above());
  }

  @Test
  void refusesScoresThatAreNotFinite() {
    float[] bad = {1, Float.NaN};
    assertThrows(IllegalArgumentException.class, () -> AnchoredScores.helpfulness(bad));
    assertThrows(IllegalArgumentException.class, () -> AnchoredScores.safety(bad, RULE));
  }
}
