package io.millrace.model.training;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class LearningRateTest {

  @Test
  void constantStays() {
    LearningRate rate = LearningRate.constant(1e-6);
    assertEquals(1e-6, rate.at(1));
    assertEquals(1e-6, rate.at(Long.MAX_VALUE));
  }

  @Test
  void cosineWorkedByHand() {
    LearningRate rate = LearningRate.cosine(8, 4, 12, 0.25);
    assertEquals(2, rate.at(1));
    assertEquals(6, rate.at(3));
    assertEquals(8, rate.at(4));
    // Half way from 4 to 12 the cosine is 0: the mean of 8 and 2.
    assertEquals(5, rate.at(8), 1e-14);
    // A quarter of the way: 2 + 6·(1 + √½)/2.
    assertEquals(2 + 3 * (1 + Math.sqrt(0.5)), rate.at(6), 1e-14);
    assertEquals(2, rate.at(12));
    assertEquals(2, rate.at(1_000_000));
  }

  @Test
  void cosineRisesThenFallsWithoutJumps() {
    LearningRate rate = LearningRate.cosine(1, 10, 110, 0.1);
    for (int step = 2; step <= 110; step++) {
      double change = rate.at(step) - rate.at(step - 1);
      assertTrue(step <= 10 ? change > 0 : change < 0, "step " + step);
      assertTrue(Math.abs(change) <= 0.1 + 1e-15, "step " + step);
    }
  }

  @Test
  void withoutWarmUpTheFirstUpdateHasThePeak() {
    assertEquals(3, LearningRate.cosine(3, 0, 10, 0).at(1));
    assertEquals(0, LearningRate.cosine(3, 0, 10, 0).at(10));
    assertEquals(3, LearningRate.cosine(3, 0, 1, 0.1).at(1));
  }

  @Test
  void warmUpMayTakeAllSteps() {
    LearningRate rate = LearningRate.cosine(3, 3, 3, 0.1);
    assertEquals(3, rate.at(3));
    assertEquals(0.3, rate.at(4), 1e-15);
  }

  @Test
  void rewardModelWarmsUpOverAShareOfTheJudgmentsAndFiveBatchesAtLeast() {
    LearningRate large = LearningRate.rewardModel(1e-5, 64_000, 64, 0.03);
    assertEquals(1e-5 / 30, large.at(64), 1e-20);
    assertEquals(1e-5, large.at(1920));
    assertTrue(large.at(1984) < 1e-5);
    assertEquals(1e-6, large.at(64_000), 1e-20);
    LearningRate small = LearningRate.rewardModel(1e-5, 1280, 64, 0.03);
    assertEquals(1e-5, small.at(320));
    assertTrue(small.at(384) < 1e-5);
    assertEquals(1e-5, LearningRate.rewardModel(1e-5, 128, 64, 0.03).at(128));
    assertEquals(1e-5, LearningRate.rewardModel(1e-5, 1000, 1, 0).at(1));
    assertThrows(IllegalArgumentException.class, () -> LearningRate.rewardModel(1e-5, 10, 1, 1.5));
  }

  @Test
  void refusesArgumentsOutOfRange() {
    assertThrows(IllegalArgumentException.class, () -> LearningRate.constant(0));
    assertThrows(IllegalArgumentException.class, () -> LearningRate.constant(Double.NaN));
    assertThrows(IllegalArgumentException.class, () -> LearningRate.cosine(-1, 0, 10, 0));
    assertThrows(IllegalArgumentException.class, () -> LearningRate.cosine(1, 11, 10, 0));
    assertThrows(IllegalArgumentException.class, () -> LearningRate.cosine(1, -1, 10, 0));
    assertThrows(IllegalArgumentException.class, () -> LearningRate.cosine(1, 0, 0, 0));
    assertThrows(IllegalArgumentException.class, () -> LearningRate.cosine(1, 0, 10, 1.1));
    assertThrows(IllegalArgumentException.class, () -> LearningRate.constant(1).at(0));
    assertThrows(IllegalArgumentException.class, () -> LearningRate.cosine(1, 2, 10, 0).at(0));
  }
}
