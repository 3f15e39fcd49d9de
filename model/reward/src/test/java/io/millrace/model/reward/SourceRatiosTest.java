package io.millrace.model.reward;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Map;
import org.junit.jupiter.api.Test;

class SourceRatiosTest {

  @Test
  void quotasKeepTheRatioAndFillTheBatch() {
    SourceRatios ratios = SourceRatios.of(Map.of("own", 0.9, "open", 0.1));
    assertEquals(Map.of("open", 1, "own", 9), ratios.quotas(10));
    // 460.8 and 51.2: the larger remainder gets the one that is left.
    assertEquals(Map.of("open", 51, "own", 461), ratios.quotas(512));
    assertEquals(0.9, ratios.share("own"), 1e-15);
    assertEquals(0, ratios.share("other"));
  }

  @Test
  void onlyTheProportionsCount() {
    assertEquals(
        Map.of("a", 4, "b", 2, "c", 2),
        SourceRatios.of(Map.of("a", 50.0, "b", 25.0, "c", 25.0)).quotas(8));
  }

  @Test
  void equalRemaindersGoByName() {
    // 10/3 each: one is left over.
    assertEquals(
        Map.of("a", 4, "b", 3, "c", 3),
        SourceRatios.of(Map.of("c", 1.0, "b", 1.0, "a", 1.0)).quotas(10));
  }

  @Test
  void oneSourceIsTheWholeBatch() {
    assertEquals(Map.of(SourceRatios.ANY, 7), SourceRatios.asTheyCome().quotas(7));
  }

  @Test
  void refusesASourceThatABatchHasNoRoomFor() {
    SourceRatios ratios = SourceRatios.of(Map.of("own", 0.99, "rare", 0.01));
    assertEquals(1, ratios.quotas(100).get("rare"));
    IllegalArgumentException e =
        assertThrows(IllegalArgumentException.class, () -> ratios.quotas(64));
    assertTrue(e.getMessage().contains("source rare has 0.0100 of a batch of 64"), e.getMessage());
  }

  @Test
  void refusesRatiosThatAreNone() {
    assertThrows(IllegalArgumentException.class, () -> SourceRatios.of(Map.of()));
    for (double bad : new double[] {0, -1, Double.NaN, Double.POSITIVE_INFINITY}) {
      assertThrows(IllegalArgumentException.class, () -> SourceRatios.of(Map.of("a", bad)));
    }
  }
}
