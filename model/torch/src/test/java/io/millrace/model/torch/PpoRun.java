package io.millrace.model.torch;

import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.ppo.KlController;
import io.millrace.model.ppo.PpoIteration;
import io.millrace.model.ppo.PpoRollout;
import io.millrace.model.ppo.PpoSettings;
import io.millrace.model.ppo.PpoTrainer;
import io.millrace.model.tensor.Backend;
import io.millrace.model.training.LearningRate;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

/** A small PPO task: answers that hold many even tokens have a high score. */
final class PpoRun {

  static final int BATCH = 16;
  static final int VOCAB = 64;

  static final LlamaConfig CONFIG =
      LlamaConfig.builder()
          .vocabSize(VOCAB)
          .hiddenSize(32)
          .layers(2)
          .heads(4)
          .kvHeads(2)
          .headDim(8)
          .ffnSize(48)
          .maxPositions(64)
          .tiedHead(true)
          .bosToken(1)
          .eosToken(2)
          .build();

  private PpoRun() {}

  static PpoTrainer trainer(Backend backend, double rate) {
    LanguageModel policy = LanguageModel.random(backend, CONFIG, 5);
    ScalarModel critic = ScalarModel.onTrunkOf(backend, CONFIG, policy.weights());
    return new PpoTrainer(
        backend,
        policy,
        critic,
        PpoSettings.builder()
            .miniBatchSize(BATCH)
            .maxSkippedUpdates(3)
            .seed(5)
            .learningRate(LearningRate.constant(rate))
            .criticLearningRate(LearningRate.constant(rate))
            .build(),
        KlController.fixed(0.01));
  }

  /** Rollouts of uniformly random tokens, the same for every backend. */
  static List<PpoRollout> rollouts(long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    List<PpoRollout> rollouts = new ArrayList<>();
    for (int i = 0; i < BATCH; i++) {
      int[] prompt = random.ints(random.nextInt(2, 12), 3, VOCAB).toArray();
      int[] response = random.ints(random.nextInt(4, 20), 3, VOCAB).toArray();
      float[] logProbs = new float[response.length];
      int even = 0;
      for (int t = 0; t < response.length; t++) {
        logProbs[t] = (float) -Math.log(VOCAB);
        even += response[t] % 2 == 0 ? 1 : 0;
      }
      float score = 4f * even / response.length - 2;
      rollouts.add(
          new PpoRollout(
              "r" + i, prompt, response, logProbs, logProbs, score, 1, false, false, false));
    }
    return rollouts;
  }

  /** One update on a batch of its own. */
  static PpoIteration update(PpoTrainer trainer, long seed) {
    return trainer.iterate(rollouts(seed));
  }
}
