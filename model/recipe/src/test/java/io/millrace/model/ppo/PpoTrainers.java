package io.millrace.model.ppo;

import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.ScalarModel;
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
        PpoSettings.builder()
            .miniBatchSize(miniBatchSize)
            .importanceWeight(new ImportanceWeight(ImportanceWeight.DEFAULT_LIMIT))
            .maxSkippedUpdates(3)
            .seed(seed)
            .learningRate(LearningRate.constant(5e-3))
            .criticLearningRate(LearningRate.constant(5e-3))
            .build(),
        KlController.fixed(0.01));
  }
}
