package io.millrace.model.annotators;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class AnnotatorReliabilityTest {

  private static AnnotatorReliability of(int window, double... chances) {
    AnnotatorReliability reliability = new AnnotatorReliability(window);
    for (double p : chances) {
      reliability.add(p);
    }
    return reliability;
  }

  /** Values of a Python program with the formulas of the class's page. */
  @Test
  void posteriorIsThatOfTheFormula() {
    AnnotatorReliability reliability = of(10, 0.9, 0.2, 0.7, 0.95, 0.5, 0.01, 0.8);
    assertEquals(0.7539464251245475, reliability.mean(), 1e-12);
    assertEquals(0.4688991941336124, reliability.quantile(0.05), 1e-12);
    assertEquals(0.7760992940634107, reliability.quantile(0.5), 1e-12);
    assertEquals(0.9921818970778977, reliability.quantile(0.99), 1e-12);
    assertEquals(0.7995732906325059, of(10).mean(), 1e-12);
  }

  @Test
  void anAnnotatorThatNobodyCanCheckKeepsThePrior() {
    double[] unknown = new double[200];
    Arrays.fill(unknown, 0.5);
    assertEquals(of(100).mean(), of(100, unknown).mean(), 1e-9);
  }

  /** Three annotators, a model that is right with its own confidence: each finds its place. */
  @Test
  void estimatesWhatAnnotatorsAre() {
    for (double truth : new double[] {0.1, 0.5, 0.75, 0.95}) {
      SplittableRandom random = new SplittableRandom(11);
      AnnotatorReliability reliability = new AnnotatorReliability(2000);
      for (int i = 0; i < 1500; i++) {
        double first = random.nextDouble();
        boolean firstIsBetter = random.nextDouble() < first;
        boolean right = random.nextDouble() < truth;
        reliability.add(right == firstIsBetter ? first : 1 - first);
      }
      assertEquals(truth, reliability.mean(), 0.06, "seed 11");
      assertTrue(reliability.quantile(0.0005) < truth && truth < reliability.quantile(0.9995));
    }
  }

  @Test
  void oldJudgmentsFade() {
    AnnotatorReliability reliability = new AnnotatorReliability(20);
    for (int i = 0; i < 100; i++) {
      reliability.add(0.95);
    }
    double before = reliability.mean();
    for (int i = 0; i < 60; i++) {
      reliability.add(0.05);
    }
    assertTrue(before > 0.85, "was " + before);
    assertTrue(reliability.mean() < 0.2, "is " + reliability.mean());
    assertEquals(20, reliability.judgments(), 0.1);
  }

  @Test
  void votesOfOthersCountByTheirReliability() {
    // Bayes: 0.5 · 0.9 / (0.5 · 0.9 + 0.5 · 0.1), and twice the same odds against.
    assertEquals(0.9, AnnotatorReliability.withVote(0.5, 0.9, true), 1e-12);
    assertEquals(0.1, AnnotatorReliability.withVote(0.5, 0.9, false), 1e-12);
    assertEquals(0.7, AnnotatorReliability.withVote(0.7, 0.5, true), 1e-12);
    assertEquals(0.5, AnnotatorReliability.withVote(0.9, 0.9, false), 1e-12);
  }

  @Test
  void weightsOfGuessersAndBelowAreZero() {
    assertEquals(0.9, AnnotatorReliability.weight(0.95), 1e-12);
    assertEquals(0, AnnotatorReliability.weight(0.5));
    assertEquals(0, AnnotatorReliability.weight(0.1));
  }

  @Test
  void refusesWhatIsNoProbability() {
    assertThrows(IllegalArgumentException.class, () -> of(10, 1.5));
    assertThrows(IllegalArgumentException.class, () -> of(10, Double.NaN));
    assertThrows(IllegalArgumentException.class, () -> new AnnotatorReliability(1));
    assertThrows(IllegalArgumentException.class, () -> AnnotatorReliability.expected(Double.NaN));
    assertThrows(IllegalArgumentException.class, () -> of(10).quantile(0));
  }

  @Test
  void continuesFromItsState() {
    AnnotatorReliability reliability = of(10, 0.9, 0.1);
    AnnotatorReliability restored = new AnnotatorReliability(10);
    restored.restore(reliability.state());
    reliability.add(0.3);
    restored.add(0.3);
    assertEquals(reliability.mean(), restored.mean());
    assertEquals(reliability.judgments(), restored.judgments());
  }
}
