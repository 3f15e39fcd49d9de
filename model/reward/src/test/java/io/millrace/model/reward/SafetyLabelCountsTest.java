package io.millrace.model.reward;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.schemas.state.StateReader;
import io.millrace.schemas.state.StateWriter;
import java.io.IOException;
import org.junit.jupiter.api.Test;

class SafetyLabelCountsTest {

  private static SafetyLabelCounts some() {
    SafetyLabelCounts counts = new SafetyLabelCounts(PiecewiseReward.defaults());
    // R_s < 0.15 is score < −1.7346.
    counts.add(-1.7347, true);
    counts.add(-5, true);
    counts.add(-1.7345, true);
    counts.add(-2, false);
    counts.add(0, false);
    counts.add(3, false);
    counts.add(4, true);
    return counts;
  }

  @Test
  void countsAtTheThresholdThatPpoApplies() {
    SafetyLabelCounts counts = some();
    assertEquals(7, counts.labels());
    assertEquals(4, counts.unsafe());
    assertEquals(3, counts.flagged());
    assertEquals(2.0 / 3, counts.precision());
    assertEquals(0.5, counts.recall());
  }

  @Test
  void isNotANumberWithoutLabels() {
    SafetyLabelCounts counts = new SafetyLabelCounts(PiecewiseReward.defaults());
    assertEquals(0, counts.labels());
    assertTrue(Double.isNaN(counts.precision()));
    assertTrue(Double.isNaN(counts.recall()));
  }

  @Test
  void resumes() throws IOException {
    byte[] bytes = StateWriter.toBytes(out -> out.write(some().state()));
    SafetyLabelCounts resumed = new SafetyLabelCounts(PiecewiseReward.defaults());
    resumed.restore(StateReader.of(bytes).read(SafetyLabelCounts.State.class));
    assertEquals(some().labels(), resumed.labels());
    assertEquals(some().precision(), resumed.precision());
    assertEquals(some().recall(), resumed.recall());
    assertThrows(IllegalArgumentException.class, () -> new SafetyLabelCounts.State(-1, 2, 3, 4));
  }
}
