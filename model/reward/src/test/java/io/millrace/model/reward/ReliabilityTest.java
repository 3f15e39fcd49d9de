package io.millrace.model.reward;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.schemas.state.StateReader;
import io.millrace.schemas.state.StateWriter;
import java.io.IOException;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class ReliabilityTest {

  /** σ(ln 3) = 0.75 and σ(ln 9) = 0.9. */
  private static final double SURE_75 = Math.log(3);

  private static final double SURE_90 = Math.log(9);

  @Test
  void binsByConfidenceAndCountsWhatCameTrue() {
    Reliability reliability = new Reliability();
    reliability.add(Math.log(3.1)); // 0.756
    reliability.add(-Math.log(3.1));
    reliability.add(Math.log(3.2)); // 0.762
    reliability.add(50);
    assertEquals(3, reliability.predictions(5), "0.75 to 0.80");
    assertEquals(2.0 / 3, reliability.accuracy(5), 1e-15);
    assertEquals((2 * 3.1 / 4.1 + 3.2 / 4.2) / 3, reliability.confidence(5), 1e-15);
    assertEquals(1, reliability.predictions(9), "certainty is in the last bin");
    assertEquals(4, reliability.predictions());
    assertTrue(Double.isNaN(reliability.accuracy(0)));
  }

  @Test
  void brierAndCalibrationErrorByHand() {
    Reliability reliability = new Reliability();
    reliability.add(SURE_75);
    reliability.add(-SURE_75);
    reliability.add(SURE_90);
    // (1/4)² + (3/4)² + (1/10)².
    assertEquals((0.0625 + 0.5625 + 0.01) / 3, reliability.brier(), 1e-15);
    // Two predictions of 0.75, one true; one of 0.9, true.
    assertEquals(
        (Math.abs(1 - 1.5) + Math.abs(1 - 0.9)) / 3, reliability.expectedCalibrationError(), 1e-12);
  }

  @Test
  void aModelThatCannotTellIsHalfRightAndPerfectlyCalibrated() {
    Reliability reliability = new Reliability();
    for (int i = 0; i < 10; i++) {
      reliability.add(0);
    }
    assertEquals(0.25, reliability.brier());
    assertEquals(0, reliability.expectedCalibrationError());
    assertEquals(0.5, reliability.accuracy(0));
  }

  @Test
  void probabilitiesThatAreTheTrueOnesAreFoundReliable() {
    SplittableRandom random = new SplittableRandom(5);
    Reliability honest = new Reliability();
    Reliability boastful = new Reliability();
    for (int i = 0; i < 100_000; i++) {
      double difference = random.nextDouble(-4, 4);
      boolean higherWins = random.nextDouble() < 1 / (1 + Math.exp(-Math.abs(difference)));
      double seen = higherWins ? Math.abs(difference) : -Math.abs(difference);
      honest.add(seen);
      boastful.add(3 * seen);
    }
    assertEquals(0, honest.expectedCalibrationError(), 0.01);
    assertTrue(boastful.expectedCalibrationError() > 0.08);
    assertTrue(boastful.brier() > honest.brier());
  }

  @Test
  void resumes() throws IOException {
    Reliability reliability = new Reliability();
    reliability.add(SURE_75);
    reliability.add(-SURE_90);
    byte[] bytes = StateWriter.toBytes(out -> out.write(reliability.state()));
    Reliability resumed = Reliability.of(StateReader.of(bytes).read(Reliability.State.class));
    reliability.add(1);
    resumed.add(1);
    assertEquals(reliability.brier(), resumed.brier());
    assertEquals(reliability.expectedCalibrationError(), resumed.expectedCalibrationError());
    assertThrows(
        IllegalArgumentException.class,
        () -> new Reliability.State(new long[9], new double[10], new double[10], 0));
  }

  @Test
  void refusesWhatIsNotFinite() {
    Reliability reliability = new Reliability();
    assertThrows(IllegalArgumentException.class, () -> reliability.add(Double.NaN));
    assertEquals(0, reliability.predictions());
    assertTrue(Double.isNaN(reliability.brier()));
  }
}
