package io.millrace.model.reward;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.model.contract.CentralDifference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class RewardModelLossTest {

  @Test
  void equalScoresWithoutMarginLoseLnTwo() {
    RankingLoss loss = RankingLoss.of(1.5, 1.5, 0);
    assertEquals(Math.log(2), loss.loss(), 1e-15);
    assertEquals(-0.5, loss.dChosen());
    assertEquals(0.5, loss.dRejected());
  }

  @Test
  void marginMovesTheDifference() {
    // 2 − 0 − 1 = 1: −log σ(1) = ln(1 + 1/e).
    assertEquals(Math.log(1 + Math.exp(-1)), RankingLoss.of(2, 0, 1).loss(), 1e-15);
    assertEquals(-1 / (1 + Math.E), RankingLoss.of(2, 0, 1).dChosen(), 1e-15);
    assertEquals(RankingLoss.of(2, 0, 1), RankingLoss.of(5, 1, 3));
  }

  @Test
  void rankingDerivativesAgreeWithDifferences() {
    for (double chosen = -4; chosen <= 4; chosen += 0.8) {
      for (double rejected = -3; rejected <= 3; rejected += 0.6) {
        for (Margin margin : Margin.values()) {
          double m = margin.of(1);
          double r = rejected;
          double c = chosen;
          RankingLoss loss = RankingLoss.of(c, r, m);
          assertEquals(
              CentralDifference.derivative(x -> RankingLoss.of(x, r, m).loss(), c),
              loss.dChosen(),
              1e-9);
          assertEquals(
              CentralDifference.derivative(x -> RankingLoss.of(c, x, m).loss(), r),
              loss.dRejected(),
              1e-9);
        }
      }
    }
  }

  @Test
  void rankingIsExactForLargeDifferences() {
    RankingLoss wrong = RankingLoss.of(-1000, 1000, 0);
    assertEquals(2000, wrong.loss());
    assertEquals(-1, wrong.dChosen());
    RankingLoss right = RankingLoss.of(1000, -1000, 0);
    assertEquals(0, right.loss());
    assertEquals(0, right.dChosen(), 0.0);
    // Far out the loss is e^−x and not rounded to 0.
    assertEquals(Math.exp(-50), RankingLoss.of(50, 0, 0).loss(), 1e-30);
    assertEquals(-Math.exp(-50), RankingLoss.of(50, 0, 0).dChosen(), 1e-30);
  }

  @ParameterizedTest
  @ValueSource(doubles = {Double.NaN, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY})
  void refusesScoresThatAreNotFinite(double bad) {
    assertThrows(IllegalArgumentException.class, () -> RankingLoss.of(bad, 0, 0));
    assertThrows(IllegalArgumentException.class, () -> RankingLoss.of(0, bad, 0));
    assertThrows(IllegalArgumentException.class, () -> RankingLoss.of(0, 0, bad));
    assertThrows(IllegalArgumentException.class, () -> SafetyLabelLoss.of(bad, true));
  }

  @Test
  void refusesNegativeMargins() {
    assertThrows(IllegalArgumentException.class, () -> RankingLoss.of(0, 0, -1));
  }

  @ParameterizedTest
  @CsvSource({
    "0, 0, 1, 3",
    "1, 0, 0.6666666666666666, 2",
    "2, 0, 0.3333333333333333, 1",
    "3, 0, 0, 0"
  })
  void marginsOfEveryRating(int rating, double none, double small, double large) {
    assertEquals(none, Margin.NONE.of(rating));
    assertEquals(small, Margin.SMALL.of(rating));
    assertEquals(large, Margin.LARGE.of(rating));
  }

  @ParameterizedTest
  @ValueSource(ints = {-1, 4})
  void refusesOtherRatings(int rating) {
    assertThrows(IllegalArgumentException.class, () -> Margin.SMALL.of(rating));
    assertThrows(IllegalArgumentException.class, () -> new Calibration().add(1, 0, rating));
  }

  @Test
  void safetyLabelPullsTheScoreToItsSide() {
    // σ(ln 3) = 3/4.
    SafetyLabelLoss safe = SafetyLabelLoss.of(Math.log(3), true);
    assertEquals(-Math.log(0.75), safe.loss(), 1e-15);
    assertEquals(-0.25, safe.dScore(), 1e-15);
    SafetyLabelLoss unsafe = SafetyLabelLoss.of(Math.log(3), false);
    assertEquals(-Math.log(0.25), unsafe.loss(), 1e-15);
    assertEquals(0.75, unsafe.dScore(), 1e-15);
  }

  @Test
  void safetyLabelDerivativesAgreeWithDifferences() {
    for (double score = -8; score <= 8; score += 0.4) {
      for (boolean safe : new boolean[] {true, false}) {
        double numeric =
            CentralDifference.derivative(x -> SafetyLabelLoss.of(x, safe).loss(), score);
        assertEquals(numeric, SafetyLabelLoss.of(score, safe).dScore(), 1e-9);
      }
    }
  }

  @Test
  void safetyLabelIsExactForLargeScores() {
    assertEquals(1e6, SafetyLabelLoss.of(1e6, false).loss());
    assertEquals(1, SafetyLabelLoss.of(1e6, false).dScore());
    assertEquals(1e6, SafetyLabelLoss.of(-1e6, true).loss());
    assertEquals(-1, SafetyLabelLoss.of(-1e6, true).dScore());
    assertEquals(0, SafetyLabelLoss.of(-1e6, false).loss());
  }

  @Test
  void learningSafetyLabelsPutsTheZeroWhereItBelongs() {
    // The ranking loss alone keeps any offset; labels take it away.
    double safe = 7;
    double unsafe = 5;
    for (int step = 0; step < 2000; step++) {
      RankingLoss ranking = RankingLoss.of(safe, unsafe, 0);
      safe -= 0.1 * (ranking.dChosen() + SafetyLabelLoss.of(safe, true).dScore());
      unsafe -= 0.1 * (ranking.dRejected() + SafetyLabelLoss.of(unsafe, false).dScore());
    }
    PiecewiseReward reward = PiecewiseReward.defaults();
    assertTrue(reward.isUnsafe(unsafe), "unsafe at " + unsafe);
    assertTrue(!reward.isUnsafe(safe), "safe at " + safe);
  }
}
