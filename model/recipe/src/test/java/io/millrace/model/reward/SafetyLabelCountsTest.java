package io.millrace.model.reward;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
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
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    some().write(new DataOutputStream(bytes));
    SafetyLabelCounts resumed = new SafetyLabelCounts(PiecewiseReward.defaults());
    resumed.read(new DataInputStream(new ByteArrayInputStream(bytes.toByteArray())));
    assertEquals(some().precision(), resumed.precision());
    assertEquals(some().recall(), resumed.recall());
    byte[] foreign = bytes.toByteArray();
    foreign[0] = -1;
    assertThrows(
        IOException.class,
        () -> resumed.read(new DataInputStream(new ByteArrayInputStream(foreign))));
  }
}
