package io.millrace.model.ppo;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.Random;
import org.junit.jupiter.api.Test;

class AdvantagesTest {

  @Test
  void workedByHand() {
    // γ = 0.5, λ = 0.5. δ_2 = 4 − 2 = 2; δ_1 = 0 + 1 − 1 = 0; δ_0 = 1 + 0.5 − 0.5 = 1.
    Advantages.Estimate estimate =
        new Advantages(0.5, 0.5).estimate(new double[] {1, 0, 4}, new float[] {0.5f, 1, 2});
    assertArrayEquals(new double[] {1.125, 0.5, 2}, estimate.advantages(), 1e-15);
    assertArrayEquals(new double[] {1.625, 1.5, 4}, estimate.returns(), 1e-15);
  }

  @Test
  void aResponseOfOneTokenEndsAtOnce() {
    Advantages.Estimate estimate =
        Advantages.defaults().estimate(new double[] {3}, new float[] {0.5f});
    assertArrayEquals(new double[] {2.5}, estimate.advantages());
    assertArrayEquals(new double[] {3}, estimate.returns());
  }

  @Test
  void lambdaOneIsTheSumOfRewardsLessTheValue() {
    double[] rewards = {-0.1, 0.2, -0.3, 1.7};
    float[] values = {0.5f, -0.25f, 2, 1};
    Advantages.Estimate estimate = new Advantages(1, 1).estimate(rewards, values);
    double rest = 0;
    for (int t = 3; t >= 0; t--) {
      rest += rewards[t];
      assertEquals(rest, estimate.returns()[t], 1e-14);
      assertEquals(rest - values[t], estimate.advantages()[t], 1e-14);
    }
  }

  @Test
  void lambdaZeroIsTheTemporalDifference() {
    double[] rewards = {1, 2, 3};
    float[] values = {10, 20, 30};
    assertArrayEquals(
        new double[] {11, 12, -27}, new Advantages(1, 0).estimate(rewards, values).advantages());
  }

  @Test
  void agreesWithTheDefinitionAsADoubleSum() {
    Random random = new Random(11);
    for (int length : new int[] {1, 2, 5, 33}) {
      double gamma = random.nextDouble();
      double lambda = random.nextDouble();
      double[] rewards = random.doubles(length, -2, 2).toArray();
      float[] values = new float[length];
      for (int t = 0; t < length; t++) {
        values[t] = (float) random.nextGaussian();
      }
      Advantages.Estimate estimate = new Advantages(gamma, lambda).estimate(rewards, values);
      for (int t = 0; t < length; t++) {
        double expected = 0;
        for (int l = 0; t + l < length; l++) {
          double next = t + l + 1 < length ? values[t + l + 1] : 0;
          double delta = rewards[t + l] + gamma * next - values[t + l];
          expected += Math.pow(gamma * lambda, l) * delta;
        }
        assertEquals(expected, estimate.advantages()[t], 1e-12);
        assertEquals(expected + values[t], estimate.returns()[t], 1e-12);
      }
    }
  }

  @Test
  void aPerfectCriticLeavesNoAdvantage() {
    Advantages.Estimate estimate =
        Advantages.defaults().estimate(new double[] {0, 0, 2}, new float[] {2, 2, 2});
    assertArrayEquals(new double[3], estimate.advantages());
    assertArrayEquals(new double[] {2, 2, 2}, estimate.returns());
  }

  @Test
  void refusesWhatCannotBeEstimated() {
    Advantages advantages = Advantages.defaults();
    assertThrows(
        IllegalArgumentException.class, () -> advantages.estimate(new double[] {}, new float[] {}));
    assertThrows(
        IllegalArgumentException.class, () -> advantages.estimate(new double[2], new float[3]));
    assertThrows(
        IllegalArgumentException.class,
        () -> advantages.estimate(new double[] {Double.NaN}, new float[1]));
    assertThrows(
        IllegalArgumentException.class,
        () -> advantages.estimate(new double[1], new float[] {Float.POSITIVE_INFINITY}));
    assertThrows(IllegalArgumentException.class, () -> new Advantages(1.01, 0.95));
    assertThrows(IllegalArgumentException.class, () -> new Advantages(1, Double.NaN));
  }
}
