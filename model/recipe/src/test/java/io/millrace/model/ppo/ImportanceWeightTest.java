package io.millrace.model.ppo;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;

class ImportanceWeightTest {

  private final ImportanceWeight weight = new ImportanceWeight(2);

  @Test
  void isTheRatioOfTheProximalToTheBehaviourPolicy() {
    assertEquals(1, weight.of(-0.7, -0.7));
    assertEquals(0.5, weight.of(Math.log(0.1), Math.log(0.2)), 1e-12);
    assertEquals(1.5, weight.of(Math.log(0.3), Math.log(0.2)), 1e-12);
  }

  @Test
  void isTruncatedFromAboveOnly() {
    assertEquals(2, weight.of(Math.log(0.9), Math.log(0.1)));
    assertEquals(2, weight.of(0, -1e6));
    assertEquals(0, weight.of(-1e6, 0));
  }

  @Test
  void refusesWhatIsNoNumber() {
    assertThrows(IllegalArgumentException.class, () -> weight.of(Double.NaN, -1));
    assertThrows(IllegalArgumentException.class, () -> weight.of(-1, Double.NEGATIVE_INFINITY));
    assertThrows(IllegalArgumentException.class, () -> new ImportanceWeight(0.5));
    assertThrows(IllegalArgumentException.class, () -> new ImportanceWeight(Double.NaN));
  }
}
