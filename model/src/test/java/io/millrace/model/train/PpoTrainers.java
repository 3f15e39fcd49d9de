package io.millrace.model.train;

import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.rlhf.Advantages;
import io.millrace.model.rlhf.ImportanceWeight;
import io.millrace.model.rlhf.KlController;
import io.millrace.model.rlhf.KlPenalty;
import io.millrace.model.rlhf.PiecewiseReward;
import io.millrace.model.rlhf.PpoObjective;
import io.millrace.model.tensor.AdamW;
import io.millrace.model.tensor.Backend;

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
