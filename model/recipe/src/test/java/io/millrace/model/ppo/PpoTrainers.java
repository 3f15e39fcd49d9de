package io.millrace.model.ppo;

import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.reward.PiecewiseReward;
import io.millrace.model.tensor.AdamW;
import io.millrace.model.tensor.Backend;
import io.millrace.model.training.LearningRate;

/** PPO trainers for tests, with the recipe's defaults and a learning rate that shows. */
final class PpoTrainers {

  private PpoTrainers() {}

  static PpoTrainer trainer(
      Backend backend, LanguageModel policy, ScalarModel critic, int miniBatchSize, long seed) {
    return new PpoTrainer(
        backend,
        policy,
        critic,
        new PpoSettings(
            miniBatchSize,
            1,
            PiecewiseReward.defaults(),
            KlPenalty.defaults(),
            Advantages.defaults(),
            PpoObjective.defaults(),
            new ImportanceWeight(ImportanceWeight.DEFAULT_LIMIT),
            3,
            1,
            seed,
            AdamW.llama2(),
            LearningRate.constant(5e-3),
            LearningRate.constant(5e-3)),
        KlController.fixed(0.01));
  }
}
