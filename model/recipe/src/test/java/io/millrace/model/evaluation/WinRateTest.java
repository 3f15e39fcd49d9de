package io.millrace.model.evaluation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.model.evaluation.WinRate.Interval;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class WinRateTest {

  private static final long SEED = 3;

  @Test
  void aTieIsHalfAWin() {
    assertEquals(0.5, new WinRate(1, 7, 1).mean());
    assertEquals(0.65, new WinRate(5, 3, 2).mean());
    assertEquals(1, new WinRate(4, 0, 0).mean());
    assertEquals(0.4, new WinRate(1, 1, 2).plus(new WinRate(0, 1, 0)).mean());
    assertEquals(new WinRate(3, 2, 1), new WinRate(1, 2, 3).swapped());
  }

  /** The wealth by the definition, result by result, for each of the 50 stakes 0.01 to 0.99. */
  private static double wealth(WinRate rate, double mean) {
    double sum = 0;
    for (int player = 0; player < 50; player++) {
      double stake = 0.01 + 0.02 * player;
      double wealth = 1;
      for (int i = 0; i < rate.comparisons(); i++) {
        double result = i < rate.wins() ? 1 : i < rate.wins() + rate.ties() ? 0.5 : 0;
        wealth *= 1 - stake + stake * result / mean;
      }
      sum += wealth;
    }
    return sum / 50;
  }

  @Test
  void theWealthIsThatOfPlayersWhoBetOnEveryComparison() {
    SplittableRandom random = new SplittableRandom(SEED);
    for (int i = 0; i < 200; i++) {
      WinRate rate = new WinRate(random.nextInt(30), random.nextInt(30), random.nextInt(30));
      double mean = random.nextDouble(0.05, 1);
      double expected = wealth(rate, mean);
      assertEquals(
          expected,
          Math.exp(EProcess.logWealth(rate, mean)),
          1e-9 * expected,
          rate + " " + mean + ", seed " + SEED);
      double alpha = random.nextDouble(0.001, 0.2);
      assertEquals(expected >= 1 / alpha, rate.isAbove(mean, alpha));
      assertEquals(
          wealth(rate.swapped(), 1 - mean) >= 1 / alpha, mean < 1 && rate.isBelow(mean, alpha));
    }
  }

  /** By hand: eight wins at m = 1/2 are ∫(1 + θ)⁸ dθ = (2⁹ − 1)/9 = 56.8, by midpoints. */
  @Test
  void aFewResultsShowALot() {
    assertEquals(511 / 9.0, Math.exp(EProcess.logWealth(new WinRate(8, 0, 0), 0.5)), 0.02);
    assertTrue(new WinRate(8, 0, 0).isAbove(0.5, 0.02));
    assertFalse(new WinRate(8, 0, 0).isAbove(0.5, 0.017));
    // Ties say nothing about a rate of one half.
    assertTrue(new WinRate(8, 1000, 0).isAbove(0.5, 0.02));
    assertFalse(WinRate.NONE.isAbove(0.5, 0.02));
    assertFalse(WinRate.NONE.isBelow(0.5, 0.02));
    assertTrue(new WinRate(0, 1, 3).isAbove(0, 0.02), "no rate is below 0");
  }

  @Test
  void theIntervalEndsWhereTheTestsStopRejecting() {
    SplittableRandom random = new SplittableRandom(SEED);
    for (int i = 0; i < 100; i++) {
      WinRate rate =
          new WinRate(1 + random.nextInt(99), random.nextInt(99), 1 + random.nextInt(99));
      double alpha = random.nextDouble(0.0001, 0.2);
      Interval interval = rate.interval(alpha);
      assertTrue(interval.low() < rate.mean() && rate.mean() < interval.high());
      assertTrue(rate.isAbove(interval.low() - 1e-9, alpha));
      assertFalse(rate.isAbove(interval.low() + 1e-9, alpha));
      assertTrue(rate.isBelow(interval.high() + 1e-9, alpha));
      assertFalse(rate.isBelow(interval.high() - 1e-9, alpha));
    }
    assertEquals(new Interval(0, 1), WinRate.NONE.interval(0.05));
  }

  /** Ville: at any of many looks together, the true rate is rejected with a chance below alpha. */
  @Test
  void theLimitsHoldAtAllLooksTogether() {
    SplittableRandom random = new SplittableRandom(SEED);
    double alpha = 0.1;
    for (double ties : new double[] {0, 0.6}) {
      int rejected = 0;
      for (int i = 0; i < 2000; i++) {
        double truth = (1 - ties) * 0.3 + ties / 2;
        WinRate rate = WinRate.NONE;
        boolean above = false;
        for (int look = 0; look < 40 && !above; look++) {
          rate = rate.plus(draw(random, 20, 0.3, ties));
          above = rate.isAbove(truth, alpha);
        }
        rejected += above ? 1 : 0;
      }
      assertTrue(rejected <= 0.1 * 2000, rejected + " of 2000 with ties " + ties);
      assertTrue(rejected > 20, "the test does something: " + rejected);
    }
  }

  static WinRate draw(SplittableRandom random, int comparisons, double wins, double ties) {
    int[] counts = new int[3];
    for (int n = 0; n < comparisons; n++) {
      counts[random.nextDouble() < ties ? 1 : random.nextDouble() < wins ? 0 : 2]++;
    }
    return new WinRate(counts[0], counts[1], counts[2]);
  }

  /**
   * The sum of all levels is alpha, half of it for promotions: here by the integral of the rest.
   */
  @Test
  void theLevelsOfAllTestsAddUpToTheBudget() {
    ErrorBudget budget = new ErrorBudget(0.05);
    double sum = 0;
    int terms = 100_000;
    for (int i = 1; i <= terms; i++) {
      sum += budget.level(i);
      assertTrue(budget.level(i + 1) < budget.level(i));
    }
    double rest = budget.level(1) * Math.pow(terms + 0.5, -0.3) / 0.3;
    assertEquals(0.025, sum + rest, 1e-9);
    assertThrows(IllegalArgumentException.class, () -> budget.level(0));
    assertThrows(IllegalArgumentException.class, () -> new ErrorBudget(0));
  }

  @Test
  void countsAndLevelsHaveBounds() {
    assertThrows(IllegalArgumentException.class, () -> new WinRate(2, -1, 0));
    assertThrows(IllegalArgumentException.class, () -> new WinRate(1, 0, 0).interval(1));
    assertThrows(IllegalArgumentException.class, () -> new WinRate(1, 0, 0).isAbove(0.5, 0));
  }
}
