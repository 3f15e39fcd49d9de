package io.millrace.model.ppo;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class KlControllerTest {

  private static final AdaptiveKl.Settings SETTINGS = new AdaptiveKl.Settings(0.1, 6, 1000);

  @Test
  void fixedBetaStays() {
    KlController controller = KlController.fixed(KlController.DEFAULT_BETA);
    controller.update(50, 512);
    controller.update(-3, 512);
    assertEquals(0.01, controller.beta());
    assertEquals(0, KlController.fixed(0).beta());
  }

  @Test
  void adaptsInProportionToTheError() {
    // KL 6.6 is 10 % above the target; 500 rollouts are half the horizon.
    KlController controller = KlController.adaptive(SETTINGS);
    controller.update(6.6, 500);
    assertEquals(0.1 * 1.05, controller.beta(), 1e-15);
    controller.update(5.4, 500);
    assertEquals(0.1 * 1.05 * 0.95, controller.beta(), 1e-15);
    controller.update(6, 500);
    assertEquals(0.1 * 1.05 * 0.95, controller.beta(), 1e-15);
  }

  @Test
  void clipsTheErrorAtAFifth() {
    KlController up = KlController.adaptive(SETTINGS);
    up.update(600, 100);
    assertEquals(0.1 * 1.02, up.beta(), 1e-15);
    KlController down = KlController.adaptive(SETTINGS);
    down.update(-600, 100);
    assertEquals(0.1 * 0.98, down.beta(), 1e-15);
  }

  @Test
  void staysPositiveAndFiniteWhateverItIsTold() {
    KlController down = KlController.adaptive(SETTINGS);
    down.update(0, 1_000_000);
    assertEquals(0.08, down.beta(), 1e-15);
    KlController up = KlController.adaptive(SETTINGS);
    for (int i = 0; i < 10_000; i++) {
      down.update(0, 1_000_000);
      up.update(1e9, 1_000_000);
    }
    assertTrue(down.beta() > 0);
    assertTrue(Double.isFinite(up.beta()));
  }

  @Test
  void steersAPolicyWhoseKlFallsWithBeta() {
    KlController controller = KlController.adaptive(SETTINGS);
    for (int i = 0; i < 2000; i++) {
      controller.update(0.3 / controller.beta(), 100);
    }
    assertEquals(0.05, controller.beta(), 1e-6);
  }

  @Test
  void refusesMeasurementsThatAreNone() {
    for (KlController controller :
        new KlController[] {KlController.fixed(0.01), KlController.adaptive(SETTINGS)}) {
      double beta = controller.beta();
      assertThrows(IllegalArgumentException.class, () -> controller.update(Double.NaN, 1));
      assertThrows(
          IllegalArgumentException.class, () -> controller.update(Double.POSITIVE_INFINITY, 1));
      assertThrows(IllegalArgumentException.class, () -> controller.update(6, 0));
      assertEquals(beta, controller.beta());
    }
  }

  @Test
  void refusesSettingsOutOfRange() {
    assertThrows(IllegalArgumentException.class, () -> KlController.fixed(-0.1));
    assertThrows(IllegalArgumentException.class, () -> KlController.fixed(Double.NaN));
    assertThrows(IllegalArgumentException.class, () -> new AdaptiveKl.Settings(0, 6, 1000));
    assertThrows(IllegalArgumentException.class, () -> new AdaptiveKl.Settings(0.1, 0, 1000));
    assertThrows(IllegalArgumentException.class, () -> new AdaptiveKl.Settings(0.1, 6, 0));
  }

  @Test
  void anAdaptiveControllerResumesBitForBit() {
    KlController first = KlController.adaptive(SETTINGS);
    first.update(7.1, 512);
    KlController resumed = KlController.adaptive(SETTINGS);
    resumed.restore(first.state());
    assertEquals(first.beta(), resumed.beta());
    first.update(4.9, 512);
    resumed.update(4.9, 512);
    assertEquals(first.beta(), resumed.beta());
  }

  @Test
  void changingKindKeepsTheConfiguredBeta() {
    KlController adapted = KlController.adaptive(SETTINGS);
    adapted.update(60, 512);
    KlController fixed = KlController.fixed(0.01);
    fixed.restore(adapted.state());
    assertEquals(0.01, fixed.beta());
    KlController adaptive = KlController.adaptive(SETTINGS);
    adaptive.restore(fixed.state());
    assertEquals(0.1, adaptive.beta());
  }

  @Test
  void refusesStateThatNoControllerHas() {
    KlController controller = KlController.adaptive(SETTINGS);
    assertThrows(IllegalArgumentException.class, () -> new KlController.State(true, Double.NaN));
    assertThrows(IllegalArgumentException.class, () -> new KlController.State(true, -1));
    assertThrows(
        IllegalArgumentException.class, () -> controller.restore(new KlController.State(true, 0)));
    assertEquals(0.1, controller.beta());
  }
}
