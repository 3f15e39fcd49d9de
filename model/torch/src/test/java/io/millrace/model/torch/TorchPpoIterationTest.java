package io.millrace.model.torch;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.llama.LlamaConfig.ParameterSpec;
import io.millrace.model.llama.Parameters;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.ppo.KlController;
import io.millrace.model.ppo.PpoIteration;
import io.millrace.model.ppo.PpoRollout;
import io.millrace.model.ppo.PpoSettings;
import io.millrace.model.ppo.PpoTrainer;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Backends;
import io.millrace.model.tensor.Precision;
import io.millrace.model.training.LearningRate;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A whole PPO iteration against {@link PpoOracle}. */
class TorchPpoIterationTest {

  private static final long SEED = 3;
  private static final int VOCAB = 13;
  private static final int EPOCHS = 2;
  private static final double RATE = 1e-2;

  private static final LlamaConfig CONFIG =
      LlamaConfig.builder()
          .vocabSize(VOCAB)
          .hiddenSize(8)
          .layers(2)
          .heads(2)
          .kvHeads(1)
          .headDim(4)
          .ffnSize(6)
          .maxPositions(32)
          .tiedHead(true)
          .bosToken(1)
          .eosToken(2)
          .build();

  private static Parameters weights(Backend backend, List<ParameterSpec> specs, long seed) {
    Parameters weights = Parameters.random(backend, specs, seed);
    float[] values = weights.decayed().toFloats();
    for (int i = 0; i < values.length; i++) {
      values[i] *= 20;
    }
    weights.decayed().write(values);
    return weights;
  }

  private static Map<String, float[]> byName(Parameters weights) {
    Map<String, float[]> values = new LinkedHashMap<>();
    weights.specs().forEach(spec -> values.put(spec.name(), weights.get(spec.name()).toFloats()));
    return values;
  }

  /** Rollouts whose log-probs are near those of a policy, so that some ratios are clipped. */
  private static List<PpoRollout> rollouts(Map<String, float[]> policy) {
    SplittableRandom random = new SplittableRandom(SEED);
    List<PpoRollout> rollouts = new ArrayList<>();
    for (int i = 0; i < 5; i++) {
      int[] prompt = random.ints(1 + i, 0, VOCAB).toArray();
      int[] response = random.ints(6 - i, 0, VOCAB).toArray();
      float[] none = new float[response.length];
      PpoRollout unscored =
          new PpoRollout("r" + i, prompt, response, none, none, 0, 0, false, false, false);
      double[] now = new PpoOracle(List.of(), 0, 0, policy, Map.of()).logProbs(unscored);
      float[] behaviour = new float[response.length];
      float[] reference = new float[response.length];
      for (int t = 0; t < now.length; t++) {
        behaviour[t] = (float) (now[t] + 0.15 * random.nextGaussian());
        reference[t] = (float) (now[t] + random.nextGaussian());
      }
      rollouts.add(
          new PpoRollout(
              "r" + i,
              prompt,
              response,
              behaviour,
              reference,
              (float) (2 * random.nextGaussian()),
              (float) (2 * random.nextGaussian()),
              i % 2 == 1,
              i == 2,
              false));
    }
    return rollouts;
  }

  @ParameterizedTest
  @ValueSource(strings = {"cpu", "torch"})
  void anIterationIsThatOfAnIndependentOneInFloat64(String name) {
    try (Backend backend =
            name.equals("cpu")
                ? Backends.named("cpu").open()
                : TestDevice.backend(Precision.FLOAT32, 2);
        PpoTrainer trainer =
            new PpoTrainer(
                backend,
                new LanguageModel(backend, CONFIG, weights(backend, CONFIG.parameters(), 1)),
                new ScalarModel(backend, CONFIG, weights(backend, CONFIG.scalarParameters(), 2)),
                PpoSettings.builder()
                    .miniBatchSize(5)
                    .epochs(EPOCHS)
                    .maxSkippedUpdates(1)
                    .seed(SEED)
                    .learningRate(LearningRate.constant(RATE))
                    .criticLearningRate(LearningRate.constant(RATE))
                    .build(),
                KlController.fixed(0.05))) {
      Map<String, float[]> policy = byName(trainer.policy().weights());
      Map<String, float[]> critic = byName(trainer.critic().weights());
      List<PpoRollout> rollouts = rollouts(policy);
      PpoOracle oracle = new PpoOracle(rollouts, EPOCHS, RATE, policy, critic);
      oracle.iterate();

      PpoIteration iteration = trainer.iterate(rollouts);

      double clipped = iteration.metrics().get("policy/clipfrac_avg");
      assertTrue(clipped > 0 && clipped < 1, "some tokens must be clipped, not " + clipped);
      assertWeights(oracle.policy, policy, trainer.policy().weights());
      assertWeights(oracle.critic, critic, trainer.critic().weights());
    }
  }

  /** AdamW moves a weight by up to a learning rate an update, whatever its gradient. */
  private static void assertWeights(
      PpoOracle.Model expected, Map<String, float[]> before, Parameters actual) {
    double moved = 0;
    for (ParameterSpec spec : actual.specs()) {
      double[] values = expected.weights.get(spec.name());
      float[] now = actual.get(spec.name()).toFloats();
      for (int i = 0; i < values.length; i++) {
        assertEquals(values[i], now[i], 0.01 * RATE, spec.name() + " " + i + ", seed " + SEED);
        moved = Math.max(moved, Math.abs(values[i] - before.get(spec.name())[i]));
      }
    }
    assertTrue(moved > RATE, "the update moves weights by " + moved);
  }
}
