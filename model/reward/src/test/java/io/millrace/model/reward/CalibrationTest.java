package io.millrace.model.reward;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.schemas.state.StateReader;
import io.millrace.schemas.state.StateWriter;
import java.io.IOException;
import org.junit.jupiter.api.Test;

class CalibrationTest {

  private static Calibration some() {
    Calibration calibration = new Calibration();
    calibration.add(2, 1, 0);
    calibration.add(1, 2, 0);
    calibration.add(2, 1, 0);
    calibration.add(2, 1, 0);
    calibration.add(-1, -3, 2);
    calibration.add(1, 1, 3);
    return calibration;
  }

  @Test
  void countsByRatingAndATieAsHalf() {
    Calibration calibration = some();
    assertEquals(0.75, calibration.accuracy(0));
    assertTrue(Double.isNaN(calibration.accuracy(1)));
    assertEquals(1, calibration.accuracy(2));
    assertEquals(0.5, calibration.accuracy(3));
    assertEquals(4, calibration.judgments(0));
    assertEquals(0, calibration.judgments(1));
    assertEquals(6, calibration.judgments());
    assertEquals(4.5 / 6, calibration.accuracy());
  }

  @Test
  void meansTheDifferencesByRating() {
    Calibration calibration = some();
    assertEquals((1 - 1 + 1 + 1) / 4.0, calibration.margin(0));
    assertEquals(2, calibration.margin(2));
    assertEquals(0, calibration.margin(3));
    assertTrue(Double.isNaN(calibration.margin(1)));
    assertEquals(4.0 / 6, calibration.margin());
    assertEquals(6, calibration.reliability().predictions());
  }

  @Test
  void isNotANumberBeforeTheFirstJudgment() {
    assertTrue(Double.isNaN(new Calibration().accuracy()));
  }

  @Test
  void refusesScoresThatAreNotFiniteAndCountsNothing() {
    Calibration calibration = new Calibration();
    assertThrows(IllegalArgumentException.class, () -> calibration.add(Double.NaN, 1, 0));
    assertThrows(IllegalArgumentException.class, () -> calibration.add(1, Double.NaN, 0));
    assertEquals(0, calibration.judgments());
  }

  @Test
  void resumes() throws IOException {
    byte[] bytes = StateWriter.toBytes(out -> out.write(some().state()));
    Calibration resumed = Calibration.of(StateReader.of(bytes).read(Calibration.State.class));
    assertEquals(6, resumed.judgments());
    assertEquals(0.75, resumed.accuracy(0));
    assertEquals(0.5, resumed.accuracy(3));
    assertEquals(some().margin(2), resumed.margin(2));
    assertEquals(some().reliability().brier(), resumed.reliability().brier());
    resumed.add(1, 2, 2);
    assertEquals(0.5, resumed.accuracy(2));
  }

  @Test
  void refusesCountsThatCannotBe() {
    Calibration.State good = some().state();
    // One agreed of no judgments.
    assertThrows(
        IllegalArgumentException.class,
        () ->
            new Calibration.State(
                new long[4],
                new long[] {1, 0, 0, 0},
                new long[4],
                good.differences(),
                good.reliability()));
    assertThrows(
        IllegalArgumentException.class,
        () ->
            new Calibration.State(
                new long[3], good.agreed(), good.ties(), good.differences(), good.reliability()));
  }
}
