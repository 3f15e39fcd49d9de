package io.millrace.model.reward;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class RecentJudgmentsTest {

  @Test
  void onlyTheLastJudgmentsCount() {
    RecentJudgments recent = new RecentJudgments(4);
    assertTrue(Double.isNaN(recent.accuracy()));
    for (double difference : new double[] {-1, -1, -1, 1, 2, 0}) {
      recent.add(difference);
    }
    // −1, 1, 2 and 0 are left.
    assertEquals(4, recent.size());
    assertEquals(2.5 / 4, recent.accuracy());
    double brier = 0;
    for (double difference : new double[] {-1, 1, 2, 0}) {
      brier += Math.pow(1 / (1 + Math.exp(difference)), 2) / 4;
    }
    assertEquals(brier, recent.reliability().brier(), 1e-12);
  }

  @Test
  void continuesFromAState() {
    for (int judgments : new int[] {0, 3, 5, 9}) {
      RecentJudgments recent = new RecentJudgments(5);
      RecentJudgments resumed = new RecentJudgments(5);
      for (int i = 0; i < judgments; i++) {
        recent.add(i % 3 - 1);
      }
      resumed.restore(recent.state());
      for (int i = 0; i < 3; i++) {
        recent.add(1);
        resumed.add(1);
        assertEquals(recent.accuracy(), resumed.accuracy());
      }
    }
  }

  @Test
  void refusesAStateOfAnotherLength() {
    RecentJudgments recent = new RecentJudgments(5);
    RecentJudgments.State bad = new RecentJudgments.State(new double[3], 5);
    assertThrows(IllegalArgumentException.class, () -> recent.restore(bad));
  }
}
