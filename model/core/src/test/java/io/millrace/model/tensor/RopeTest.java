package io.millrace.model.tensor;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

class RopeTest {

  @Test
  void frequenciesFallGeometrically() {
    assertArrayEquals(new double[] {1, 0.1, 0.01}, new Rope(6, 1000).inverseFrequencies(), 1e-15);
    assertArrayEquals(
        new double[] {0.25, 0.025, 0.0025},
        new Rope(6, 1000, new RopeScaling.Linear(4)).inverseFrequencies(),
        1e-15);
  }

  /**
   * Llama 3.1's settings. A Python script computed the expected values by the formula of Meta's
   * release.
   */
  @Test
  void llama3KeepsFastFrequenciesAndDividesSlowOnes() {
    double[] scaled =
        new Rope(128, 500_000, new RopeScaling.Llama3(8, 1, 4, 8192)).inverseFrequencies();
    assertEquals(64, scaled.length);
    assertFrequency(1.0, scaled[0]);
    assertFrequency(0.8146172338565447, scaled[1]);
    assertFrequency(0.0032114459947525913, scaled[28]); // the last frequency that is kept
    assertFrequency(0.002166570763503359, scaled[29]);
    assertFrequency(0.0005248461609929547, scaled[32]);
    assertFrequency(0.00017850781276799638, scaled[34]);
    assertFrequency(
        9.556212353964683e-05,
        scaled[35]); // the first frequency that is divided by the whole factor
    assertFrequency(3.068925988914511e-07, scaled[63]);
  }

  private static void assertFrequency(double expected, double actual) {
    assertEquals(expected, actual, 1e-12 * expected);
  }

  @Test
  void refusalsNameTheValue() {
    assertRefused(() -> new Rope(3, 100), "headDim is 3");
    assertRefused(() -> new Rope(0, 100), "headDim is 0");
    assertRefused(() -> new Rope(4, 0), "theta is 0.0");
    assertRefused(() -> new Rope(4, Double.NaN), "theta is NaN");
    assertRefused(() -> new Rope(4, 100, null), "scaling");
    assertRefused(() -> new RopeScaling.Linear(0.5), "factor is 0.5");
    assertRefused(() -> new RopeScaling.Llama3(0, 1, 4, 8192), "factor is 0.0");
    assertRefused(() -> new RopeScaling.Llama3(8, 0, 4, 8192), "lowFrequencyFactor is 0.0");
    assertRefused(() -> new RopeScaling.Llama3(8, 4, 4, 8192), "highFrequencyFactor is 4.0");
    assertRefused(() -> new RopeScaling.Llama3(8, 1, 4, 0), "originalMaxPositions is 0");
  }

  private static void assertRefused(Executable call, String inMessage) {
    String message = assertThrows(IllegalArgumentException.class, call).getMessage();
    assertTrue(message.contains(inMessage), message);
  }
}
