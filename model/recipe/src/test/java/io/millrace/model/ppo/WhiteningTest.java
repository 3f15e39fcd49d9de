package io.millrace.model.ppo;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class WhiteningTest {

  private final Whitening whitening = Whitening.defaults();

  @Test
  void usesTheBiasedVariance() {
    // Mean 3, squares 4 + 0 + 4, so variance 8/3 and not 8/2.
    double deviation = Math.sqrt(8.0 / 3);
    assertArrayEquals(
        new double[] {-2 / deviation, 0, 2 / deviation},
        whitening.whiten(new double[] {1, 3, 5}),
        1e-8);
  }

  @Test
  void epsilonStandsInsideTheRoot() {
    // Variance 1, epsilon 0.44: the deviation is 1.2.
    assertArrayEquals(
        new double[] {-1 / 1.2, 1 / 1.2}, new Whitening(0.44).whiten(new double[] {1, 3}), 1e-15);
  }

  @ParameterizedTest
  @ValueSource(doubles = {0, 0.1, -1.7345, 1e-300, 1e30, 1.0 / 3})
  void equalValuesBecomeExactlyZero(double value) {
    double[] values = new double[7];
    Arrays.fill(values, value);
    assertArrayEquals(new double[7], whitening.whiten(values));
  }

  @Test
  void aSingleValueBecomesZeroAndNoneStaysNone() {
    assertArrayEquals(new double[] {0}, whitening.whiten(new double[] {-42.5}));
    assertArrayEquals(new double[] {}, whitening.whiten(new double[] {}));
  }

  @Test
  void largeBatchFarFromZeroHasMeanZeroAndVarianceOne() {
    Random random = new Random(5);
    double[] values = random.doubles(4096, 1e6, 1e6 + 3).toArray();
    double[] whitened = whitening.whiten(values);
    double mean = Arrays.stream(whitened).average().orElseThrow();
    double variance = Arrays.stream(whitened).map(x -> x * x).average().orElseThrow();
    assertEquals(0, mean, 1e-10);
    assertEquals(1, variance, 1e-7);
    for (int i = 1; i < values.length; i++) {
      assertEquals(values[i] > values[i - 1], whitened[i] > whitened[i - 1]);
    }
  }

  @Test
  void leavesItsInputAlone() {
    double[] values = {1, 2, 3};
    whitening.whiten(values);
    assertArrayEquals(new double[] {1, 2, 3}, values);
  }

  @Test
  void namesTheValueThatIsNotFinite() {
    for (double bad : new double[] {Double.NaN, Double.POSITIVE_INFINITY}) {
      for (int at = 0; at < 3; at++) {
        double[] values = {1, 2, 3};
        values[at] = bad;
        IllegalArgumentException refused =
            assertThrows(IllegalArgumentException.class, () -> whitening.whiten(values));
        assertTrue(refused.getMessage().contains("element " + at), refused.getMessage());
      }
    }
  }

  @Test
  void refusesValuesBeyondDouble() {
    assertThrows(
        IllegalArgumentException.class, () -> whitening.whiten(new double[] {-1e200, 1e200}));
    assertThrows(IllegalArgumentException.class, () -> new Whitening(0));
  }
}
