package io.millrace.model.evaluation;

import static org.junit.jupiter.api.Assertions.assertEquals;
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
  }

  /** By hand with z = 1.959964: n = 10, p = 0.7: (0.7 + 0.192073 ± 0.342874) / 1.384146. */
  @Test
  void theIntervalIsWilsons() {
    Interval interval = new WinRate(7, 0, 3).interval(0.95);
    assertEquals(0.396778, interval.low(), 1e-5);
    assertEquals(0.892209, interval.high(), 1e-5);
    // None won of ten: 0 to z²/(n + z²).
    Interval none = new WinRate(0, 0, 10).interval(0.95);
    assertEquals(0, none.low(), 1e-12);
    assertEquals(3.841459 / 13.841459, none.high(), 1e-6);
  }

  /** Wilson's ends are where the score test just does not reject: (p − π)² = z²·π(1 − π)/n. */
  @Test
  void itsEndsSolveTheScoreTest() {
    SplittableRandom random = new SplittableRandom(SEED);
    for (int i = 0; i < 200; i++) {
      WinRate rate =
          new WinRate(1 + random.nextInt(99), random.nextInt(99), 1 + random.nextInt(99));
      double confidence = random.nextDouble(0.5, 0.999);
      double z = NormalDistribution.twoSided(confidence);
      Interval interval = rate.interval(confidence);
      for (double end : new double[] {interval.low(), interval.high()}) {
        double distance = rate.mean() - end;
        assertEquals(
            z * z * end * (1 - end) / rate.comparisons(),
            distance * distance,
            1e-12,
            "seed " + SEED);
      }
    }
  }

  /** Simulated: the true rate lies in it at least as often as it says, with ties oftener. */
  @Test
  void itHoldsTheTrueRateAsOftenAsItSays() {
    SplittableRandom random = new SplittableRandom(SEED);
    for (double ties : new double[] {0, 0.5}) {
      int held = 0;
      for (int i = 0; i < 2000; i++) {
        int[] counts = new int[3];
        for (int n = 0; n < 200; n++) {
          boolean tie = random.nextDouble() < ties;
          counts[tie ? 1 : random.nextDouble() < 0.6 ? 0 : 2]++;
        }
        double truth = (1 - ties) * 0.6 + ties / 2;
        Interval interval = new WinRate(counts[0], counts[1], counts[2]).interval(0.95);
        held += interval.low() <= truth && truth <= interval.high() ? 1 : 0;
      }
      double share = held / 2000.0;
      assertTrue(share > 0.935, share + " with ties " + ties);
      assertTrue(ties == 0 ? share < 0.965 : share > 0.98, share + " with ties " + ties);
    }
  }

  @Test
  void theNormalDistributionIsAsInTables() {
    assertEquals(0.5, NormalDistribution.cumulative(0));
    assertEquals(0.8413447460685429, NormalDistribution.cumulative(1), 1e-14);
    assertEquals(0.0013498980316301, NormalDistribution.cumulative(-3), 1e-14);
    assertEquals(1.959963984540054, NormalDistribution.twoSided(0.95), 1e-12);
    assertEquals(2.5758293035489, NormalDistribution.twoSided(0.99), 1e-12);
    assertEquals(0.674489750196082, NormalDistribution.twoSided(0.5), 1e-12);
  }

  @Test
  void nothingComparedIsNoRate() {
    assertThrows(IllegalArgumentException.class, () -> new WinRate(0, 0, 0));
    assertThrows(IllegalArgumentException.class, () -> new WinRate(2, -1, 0));
    assertThrows(IllegalArgumentException.class, () -> new WinRate(1, 0, 0).interval(1));
  }
}
