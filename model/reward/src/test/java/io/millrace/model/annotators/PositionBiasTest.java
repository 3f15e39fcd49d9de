package io.millrace.model.annotators;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class PositionBiasTest {

  @Test
  void comparesWithWhatIsExpected() {
    PositionBias bias = new PositionBias();
    assertTrue(Double.isNaN(bias.bias()));
    bias.add(true, 0.5);
    bias.add(true, 0.5);
    bias.add(true, 0.9);
    bias.add(false, 0.1);
    assertEquals(4, bias.judgments());
    // (3 − 2) / 4, and √(0.25 + 0.25 + 0.09 + 0.09) / 4.
    assertEquals(0.25, bias.bias(), 1e-12);
    assertEquals(0.20615528128088303, bias.standardError(), 1e-12);
  }

  @Test
  void continuesFromItsState() {
    PositionBias bias = new PositionBias();
    bias.add(true, 0.25);
    PositionBias restored = new PositionBias();
    restored.restore(bias.state());
    assertEquals(bias.state(), restored.state());
  }
}
