package io.millrace.model.ppo;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.millrace.model.reward.PiecewiseReward;
import io.millrace.model.tensor.AdamW;
import io.millrace.model.training.LearningRate;
import org.junit.jupiter.api.Test;

class PpoSettingsTest {

  private static final LearningRate POLICY = LearningRate.constant(1e-3);
  private static final LearningRate CRITIC = LearningRate.constant(2e-3);

  @Test
  void everySetterSetsItsOwnField() {
    Advantages advantages = new Advantages(0.5, 0.25);
    PpoObjective objective = new PpoObjective(0.1, 0.3);
    ImportanceWeight weight = new ImportanceWeight(4);
    KlPenalty penalty = new KlPenalty(KlEstimator.K1, KlPlacement.REWARD, 2);
    PiecewiseReward piecewise = PiecewiseReward.defaults();
    AdamW adamW = AdamW.llama2();
    assertEquals(
        new PpoSettings(
            7,
            3,
            piecewise,
            RewardWhitening.PROMPT,
            penalty,
            new LengthPenalty(0.5, 9),
            advantages,
            objective,
            weight,
            0.02,
            0.5,
            6,
            5,
            0.5f,
            11,
            adamW,
            POLICY,
            CRITIC),
        PpoSettings.builder()
            .criticLearningRate(CRITIC)
            .learningRate(POLICY)
            .adamW(adamW)
            .seed(11)
            .temperature(0.5f)
            .maxSkippedUpdates(5)
            .criticWarmup(6)
            .maxUpdateKl(0.5)
            .entropyBonus(0.02)
            .importanceWeight(weight)
            .objective(objective)
            .advantages(advantages)
            .klPenalty(penalty)
            .lengthPenalty(new LengthPenalty(0.5, 9))
            .piecewise(piecewise)
            .whitening(RewardWhitening.PROMPT)
            .epochs(3)
            .miniBatchSize(7)
            .build());
  }

  @Test
  void sizesAndLearningRatesMustBeSet() {
    PpoSettings.Builder builder = PpoSettings.builder().miniBatchSize(1);
    assertThrows(IllegalArgumentException.class, builder::build);
    builder.maxSkippedUpdates(1).learningRate(POLICY);
    NullPointerException e = assertThrows(NullPointerException.class, builder::build);
    assertEquals("criticLearningRate", e.getMessage());
  }
}
