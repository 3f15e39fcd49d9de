package io.millrace.model.ppo;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class EarlyStopTest {

  private static void evaluate(EarlyStop stop, double... scores) {
    for (double score : scores) {
      stop.add(score);
    }
    stop.evaluate();
  }

  @Test
  void stopsAfterAsManyEvaluationsWithoutANewBestAsItHasPatience() {
    EarlyStop stop = new EarlyStop(new EarlyStop.Settings(2, 2));
    evaluate(stop, 1, 2);
    assertEquals(1.5, stop.latest());
    evaluate(stop, 1, 1);
    assertFalse(stop.stopped());
    evaluate(stop, 2, 2);
    evaluate(stop, 1.9, 1.9);
    assertFalse(stop.stopped());
    // Equal to the best is no new best.
    evaluate(stop, 2, 2);
    assertTrue(stop.stopped());
  }

  @Test
  void tooFewScoresWaitForMore() {
    EarlyStop stop = new EarlyStop(new EarlyStop.Settings(1, 3));
    evaluate(stop, 1, 1);
    assertTrue(Double.isNaN(stop.latest()));
    evaluate(stop, 4);
    assertEquals(2, stop.latest());
  }

  @Test
  void neverStopsWithoutPatience() {
    EarlyStop stop = new EarlyStop(new EarlyStop.Settings(0, 1));
    for (int i = 0; i < 50; i++) {
      evaluate(stop, -i);
    }
    assertFalse(stop.stopped());
  }

  @Test
  void goesOnFromItsState() {
    EarlyStop stop = new EarlyStop(new EarlyStop.Settings(2, 2));
    evaluate(stop, 3, 3);
    evaluate(stop, 1, 1);
    stop.add(2);
    EarlyStop copy = new EarlyStop(new EarlyStop.Settings(2, 2));
    copy.restore(stop.state());
    evaluate(copy, 2);
    assertEquals(2, copy.latest());
    assertTrue(copy.stopped());
  }

  @Test
  void refusesWhatIsNoScore() {
    assertThrows(
        IllegalArgumentException.class,
        () -> new EarlyStop(new EarlyStop.Settings(1, 1)).add(Double.NaN));
    assertThrows(IllegalArgumentException.class, () -> new EarlyStop.Settings(-1, 1));
    assertThrows(IllegalArgumentException.class, () -> new EarlyStop.Settings(1, 0));
  }
}
