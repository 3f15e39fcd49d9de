package io.millrace.model.cpu.tiles;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.SplittableRandom;
import jdk.incubator.vector.FloatVector;
import org.junit.jupiter.api.Test;

/** Shared vector arithmetic, against float64. */
class LanesTest {

  /** The error in units in the last place, over the whole range where e^x is a normal number. */
  @Test
  void exponentialsAreWithinTwoUnitsInTheLastPlace() {
    float[] x = new float[Lanes.WIDTH];
    float[] e = new float[Lanes.WIDTH];
    double worst = 0;
    double at = 0;
    for (double from = -87.3; from < 88.3; from += Lanes.WIDTH * 1e-4) {
      for (int i = 0; i < x.length; i++) {
        x[i] = (float) Math.min(88.3, from + i * 1e-4);
      }
      Lanes.exp(FloatVector.fromArray(Lanes.F, x, 0)).intoArray(e, 0);
      for (int i = 0; i < x.length; i++) {
        double exact = Math.exp(x[i]);
        double error = Math.abs(e[i] - exact) / Math.ulp((float) exact);
        if (error > worst) {
          worst = error;
          at = x[i];
        }
      }
    }
    assertTrue(worst <= 2, worst + " units at " + at);
  }

  @Test
  void exponentialsOutsideTheRangeStayAtItsBounds() {
    for (float far : new float[] {-88, -1e4f, Float.NEGATIVE_INFINITY}) {
      float e = Lanes.exp(Lanes.all(far)).lane(0);
      assertTrue(e > 0 && e < 2e-38f, far + " gives " + e);
    }
    for (float far : new float[] {89, 1e4f, Float.POSITIVE_INFINITY}) {
      float e = Lanes.exp(Lanes.all(far)).lane(0);
      assertTrue(Float.isFinite(e) && e > 2e38f, far + " gives " + e);
    }
    assertTrue(Float.isNaN(Lanes.exp(Lanes.all(Float.NaN)).lane(0)), "a NaN must not be hidden");
    assertEquals(1, Lanes.exp(Lanes.all(0)).lane(0));
  }

  @Test
  void sumsCountEveryLaneOnce() {
    float[] powers = new float[Lanes.WIDTH];
    for (int i = 0; i < powers.length; i++) {
      powers[i] = 1 << i;
    }
    assertEquals((1 << Lanes.WIDTH) - 1, Lanes.sum(FloatVector.fromArray(Lanes.F, powers, 0)));
  }

  @Test
  void fourSumsEqualSingleSumsBitForBit() {
    SplittableRandom random = new SplittableRandom(7);
    FloatVector[] vectors = new FloatVector[4];
    for (int round = 0; round < 1000; round++) {
      for (int v = 0; v < vectors.length; v++) {
        float[] lanes = new float[Lanes.WIDTH];
        for (int i = 0; i < lanes.length; i++) {
          lanes[i] = (float) random.nextGaussian();
        }
        vectors[v] = FloatVector.fromArray(Lanes.F, lanes, 0);
      }
      FloatVector sums = Lanes.sums(vectors[0], vectors[1], vectors[2], vectors[3]);
      for (int v = 0; v < vectors.length; v++) {
        assertEquals(Lanes.sum(vectors[v]), sums.lane(v), "sum " + v + " of round " + round);
      }
    }
  }

  @Test
  void roundsToWholeVectors() {
    for (int n = 1; n < 100; n++) {
      assertEquals(0, Lanes.padded(n) % Lanes.WIDTH);
      assertEquals(0, Lanes.whole(n) % Lanes.WIDTH);
      assertTrue(Lanes.whole(n) <= n && n <= Lanes.padded(n) && Lanes.padded(n) < n + Lanes.WIDTH);
    }
    for (int n = 0; n <= Lanes.WIDTH; n++) {
      assertEquals(n, Lanes.first(n).trueCount());
    }
  }
}
