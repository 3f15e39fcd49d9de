package io.millrace.model.rejection;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.schemas.state.StateReader;
import io.millrace.schemas.state.StateWriter;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class RejectionMetricsTest {

  private static void add(RejectionMetrics metrics, double[] rewards, boolean isSafety) {
    boolean[] usable = new boolean[rewards.length];
    Arrays.fill(usable, true);
    metrics.add(rewards, usable, isSafety);
  }

  private static RejectionMetrics twoPrompts() {
    RejectionMetrics metrics = new RejectionMetrics(4, List.of(0.5, 1.5));
    add(metrics, new double[] {1, 4, 2, 0}, false);
    add(metrics, new double[] {-1, -3, -1, -3}, true);
    return metrics;
  }

  @Test
  void figuresByHand() {
    Map<String, Double> expected = new HashMap<>();
    // Of 0 1 2 4: all pairs' best 1 2 4 2 4 4, all triples' 2 4 4 4.
    expected.put("rejection/helpfulness/max/k=1", 7 / 4.0);
    expected.put("rejection/helpfulness/max/k=2", 17 / 6.0);
    expected.put("rejection/helpfulness/max/k=3", 14 / 4.0);
    expected.put("rejection/helpfulness/max/k=4", 4.0);
    // All triples' medians 1 1 2 2.
    expected.put("rejection/helpfulness/median/k=1", 7 / 4.0);
    expected.put("rejection/helpfulness/median/k=2", 7 / 4.0);
    expected.put("rejection/helpfulness/median/k=3", 6 / 4.0);
    expected.put("rejection/helpfulness/median/k=4", 1.5);
    expected.put("rejection/helpfulness/mean", 7 / 4.0);
    expected.put("rejection/helpfulness/prompts", 1.0);
    // Of -3 -3 -1 -1: one pair without a -1; two of four triples have two.
    expected.put("rejection/safety/max/k=1", -2.0);
    expected.put("rejection/safety/max/k=2", -8 / 6.0);
    expected.put("rejection/safety/max/k=3", -1.0);
    expected.put("rejection/safety/max/k=4", -1.0);
    expected.put("rejection/safety/median/k=1", -2.0);
    expected.put("rejection/safety/median/k=2", -2.0);
    expected.put("rejection/safety/median/k=3", -2.0);
    expected.put("rejection/safety/median/k=4", -2.0);
    expected.put("rejection/safety/mean", -2.0);
    expected.put("rejection/safety/prompts", 1.0);
    for (String curve : List.of("max/k=1", "max/k=2", "max/k=3", "max/k=4", "mean")) {
      expected.put(
          "rejection/all/" + curve,
          (expected.get("rejection/helpfulness/" + curve)
                  + expected.get("rejection/safety/" + curve))
              / 2);
    }
    for (int k = 1; k <= 4; k++) {
      expected.put(
          "rejection/all/median/k=" + k,
          (expected.get("rejection/helpfulness/median/k=" + k) - 2) / 2);
    }
    expected.put("rejection/all/prompts", 2.0);
    // Samples 0 and 2 are at 0.5: 1 2 and -1 -1; samples 1 and 3 at 1.5: 4 0 and -3 -3.
    expected.put("rejection/helpfulness/temperature/0.5/mean", 1.5);
    expected.put("rejection/helpfulness/temperature/0.5/max/k=1", 1.5);
    expected.put("rejection/helpfulness/temperature/0.5/max/k=2", 2.0);
    expected.put("rejection/helpfulness/temperature/1.5/mean", 2.0);
    expected.put("rejection/helpfulness/temperature/1.5/max/k=1", 2.0);
    expected.put("rejection/helpfulness/temperature/1.5/max/k=2", 4.0);
    expected.put("rejection/helpfulness/best-temperature", 1.5);
    for (String statistic : List.of("mean", "max/k=1", "max/k=2")) {
      expected.put("rejection/safety/temperature/0.5/" + statistic, -1.0);
      expected.put("rejection/safety/temperature/1.5/" + statistic, -3.0);
    }
    expected.put("rejection/safety/best-temperature", 0.5);
    expected.put("rejection/prompts-without-usable", 0.0);

    Map<String, Double> metrics = twoPrompts().metrics();
    assertEquals(expected.keySet(), metrics.keySet());
    expected.forEach((name, value) -> assertEquals(value, metrics.get(name), 1e-14, name));
  }

  @Test
  void aSampleThatCanNeverWinIsWorthAsMuchAsTheWorstThatCan() {
    RejectionMetrics metrics = new RejectionMetrics(3, List.of(1.0));
    metrics.add(new double[] {9, 1, 3}, new boolean[] {false, true, true}, false);
    // Worth 1 1 3.
    assertEquals(3, metrics.metrics().get("rejection/all/max/k=3"));
    assertEquals(5 / 3.0, metrics.metrics().get("rejection/all/max/k=1"), 1e-14);
    assertEquals(1, metrics.metrics().get("rejection/all/median/k=3"));
    assertEquals(2, metrics.metrics().get("rejection/all/mean"), "of those that can win");
    metrics.add(new double[] {9, 9, 9}, new boolean[3], false);
    assertEquals(1, metrics.prompts());
    assertEquals(1, metrics.metrics().get("rejection/prompts-without-usable"));
    assertEquals(3, metrics.metrics().get("rejection/all/max/k=3"));
  }

  @Test
  void temperaturesAreComparedByAsManySamplesEach() {
    // Three of 0.5, two of 1.5: the third of 0.5, the best of all, is left out.
    RejectionMetrics metrics = new RejectionMetrics(5, List.of(0.5, 1.5));
    add(metrics, new double[] {1, 2, 1, 2, 9}, false);
    assertEquals(1.5, metrics.bestTemperature(false));
    assertFalse(metrics.metrics().containsKey("rejection/helpfulness/temperature/0.5/max/k=3"));
    assertEquals(9, metrics.metrics().get("rejection/all/max/k=5"));
  }

  @Test
  void theLowerOfTwoEqualTemperaturesIsTheBest() {
    RejectionMetrics metrics = new RejectionMetrics(4, List.of(1.5, 0.5));
    add(metrics, new double[] {1, 2, 2, 1}, false);
    assertEquals(0.5, metrics.bestTemperature(false));
  }

  @Test
  void withoutPromptsThereIsNothingToSay() {
    RejectionMetrics none = new RejectionMetrics(2, List.of(1.0));
    assertEquals(Map.of(), none.metrics());
    assertTrue(Double.isNaN(none.bestTemperature(true)));
  }

  @Test
  void goesOnFromItsState() throws Exception {
    RejectionMetrics straight = twoPrompts();
    byte[] state = StateWriter.toBytes(out -> out.write(twoPrompts().state()));
    RejectionMetrics resumed = new RejectionMetrics(4, List.of(0.5, 1.5));
    resumed.restore(StateReader.of(state).read(RejectionMetrics.State.class));
    add(straight, new double[] {0, 1, 0, 3}, true);
    add(resumed, new double[] {0, 1, 0, 3}, true);
    assertEquals(straight.metrics(), resumed.metrics());
  }

  @Test
  void aStateOfAnotherGridIsRefused() throws Exception {
    RejectionMetrics.State state = twoPrompts().state();
    RejectionMetrics otherGrid = new RejectionMetrics(4, List.of(0.5, 1.0));
    assertThrows(IllegalArgumentException.class, () -> otherGrid.restore(state));
    RejectionMetrics moreSamples = new RejectionMetrics(6, List.of(0.5, 1.5));
    assertThrows(IllegalArgumentException.class, () -> moreSamples.restore(state));
  }

  @Test
  void whatIsNotFiniteIsRefusedBeforeItCounts() {
    RejectionMetrics metrics = new RejectionMetrics(2, List.of(1.0));
    assertThrows(
        IllegalArgumentException.class, () -> add(metrics, new double[] {1, Double.NaN}, false));
    assertEquals(0, metrics.prompts());
    assertEquals(Map.of(), metrics.metrics());
    assertThrows(IllegalArgumentException.class, () -> new RejectionMetrics(1, List.of(0.5, 1.0)));
  }
}
