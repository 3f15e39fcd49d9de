package io.millrace.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.report.RewardDistributions.Density;
import io.millrace.report.RewardDistributions.Version;
import io.millrace.schemas.Reward;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/** Shares, tails and densities against the sorted scores themselves. */
class RewardDistributionsTest {

  private static final double BIN = 0.25;

  private static Reward reward(long version, float helpfulness, float safety, boolean toSafety) {
    return Reward.newBuilder()
        .setRolloutId("r")
        .setPromptId("p")
        .setPolicyVersion(version)
        .setIteration(1)
        .setHelpfulnessScore(helpfulness)
        .setSafetyScore(safety)
        .setHelpfulnessVersion(1)
        .setSafetyVersion(1)
        .setCombined(toSafety ? safety : helpfulness)
        .setWhitened(0)
        .setKl(0)
        .build();
  }

  @Test
  void countsSayWhatTheSortedScoresSay() {
    SplittableRandom random = new SplittableRandom(11);
    int count = 2000;
    double[] safety = new double[count];
    RewardDistributions rewards = new RewardDistributions();
    int toSafety = 0;
    for (int i = 0; i < count; i++) {
      safety[i] = (float) random.nextGaussian(1, 2);
      boolean isSafety = random.nextInt(3) == 0;
      toSafety += isSafety ? 1 : 0;
      rewards.add(reward(4, (float) random.nextGaussian(), (float) safety[i], isSafety));
    }
    Version version = rewards.shown(5).getFirst();
    assertEquals("v4", version.label());
    assertEquals(count, version.rollouts());
    assertEquals((double) toSafety / count, version.safetyShare(), 1e-12);
    assertEquals(Arrays.stream(safety).average().orElseThrow(), version.meanSafety(), 1e-9);
    assertEquals(
        (double) Arrays.stream(safety).filter(score -> score < 0).count() / count,
        version.likelyUnsafe(),
        1e-12);
    Arrays.sort(safety);
    assertEquals(safety[count / 20], version.safetyTail(), BIN);
    for (List<Density> densities : List.of(version.helpfulness(), version.safety())) {
      assertEquals(1, densities.stream().mapToDouble(Density::density).sum() * BIN, 1e-9);
    }
  }

  @Test
  void scoresBeyondTheBinsCountAtTheEndsAndScoresThatAreNoNumberNowhere() {
    RewardDistributions rewards = new RewardDistributions();
    rewards.add(reward(1, Float.NaN, 0, false));
    assertTrue(rewards.isEmpty());
    rewards.add(reward(1, 1e9f, Float.NEGATIVE_INFINITY, false));
    Version version = rewards.shown(2).getFirst();
    assertEquals(List.of(11.875), version.helpfulness().stream().map(Density::score).toList());
    assertEquals(List.of(-11.875), version.safety().stream().map(Density::score).toList());
  }

  @Test
  void theFirstAndTheLastVersionAreAlwaysShown() {
    RewardDistributions rewards = new RewardDistributions();
    for (int version = 1; version <= 100; version++) {
      rewards.add(reward(version, 0, 0, false));
    }
    assertEquals(
        List.of("v1", "v34", "v67", "v100"),
        rewards.shown(4).stream().map(Version::label).toList());
    assertEquals(100, rewards.shown(100).size());
  }
}
