package io.millrace.model.ppo;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import org.junit.jupiter.api.Test;

/** Worked by hand: two safety prompts with rewards around 8, two other prompts around 0. */
class RewardWhiteningTest {

  private final List<PpoRollout> rollouts =
      List.of(rollout(1, true), rollout(2, false), rollout(1, true), rollout(3, false));
  private final double[] combined = {7, -1, 9, 3};

  private static PpoRollout rollout(int prompt, boolean isSafety) {
    float[] logProb = {-1};
    return new PpoRollout(
        "p" + prompt,
        new int[] {prompt},
        new int[] {0},
        logProb,
        logProb,
        0,
        0,
        isSafety,
        false,
        false);
  }

  @Test
  void batchWhitensAllTogether() {
    // Mean 4.5, variance 14.75. Almost all of it lies between safety prompts and others.
    double deviation = Math.sqrt(14.75);
    double[] whitened = RewardWhitening.BATCH.whiten(rollouts, combined);
    assertArrayEquals(
        new double[] {2.5 / deviation, -5.5 / deviation, 4.5 / deviation, -1.5 / deviation},
        whitened,
        1e-8);
    // The means of the kinds are 3.5 above and below the mean: 12.25 of 14.75.
    assertEquals(12.25 / 14.75, RewardWhitening.shareBetweenKinds(rollouts, whitened), 1e-8);
  }

  @Test
  void decidingModelWhitensEachKindOfPrompt() {
    double[] whitened = RewardWhitening.DECIDING_MODEL.whiten(rollouts, combined);
    assertArrayEquals(new double[] {-1, -1, 1, 1}, whitened, 1e-8);
    assertEquals(0, RewardWhitening.shareBetweenKinds(rollouts, whitened), 1e-12);
    assertEquals(0, RewardWhitening.DECIDING_MODEL.alone(rollouts));
  }

  @Test
  void promptWhitensTheResponsesToOnePromptAndPaysNothingToOneAlone() {
    double[] whitened = RewardWhitening.PROMPT.whiten(rollouts, combined);
    assertArrayEquals(new double[] {-1, 0, 1, 0}, whitened, 1e-8);
    assertEquals(2, RewardWhitening.PROMPT.alone(rollouts));
  }

  @Test
  void equalRewardsAreZeroAndHaveNoShare() {
    double[] whitened = RewardWhitening.BATCH.whiten(rollouts, new double[] {5, 5, 5, 5});
    assertArrayEquals(new double[4], whitened);
    assertEquals(0, RewardWhitening.shareBetweenKinds(rollouts, whitened));
  }

  @Test
  void refusesRewardsOfAnotherNumber() {
    assertThrows(
        IllegalArgumentException.class,
        () -> RewardWhitening.BATCH.whiten(rollouts, new double[3]));
  }
}
