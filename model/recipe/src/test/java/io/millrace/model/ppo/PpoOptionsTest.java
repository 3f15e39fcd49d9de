package io.millrace.model.ppo;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.model.cpu.CpuBackend;
import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.llama.Parameters;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.llama.Targets;
import io.millrace.model.tensor.Backend;
import io.millrace.model.training.LearningRate;
import io.millrace.model.training.Optimizer;
import io.millrace.schemas.state.StateReader;
import io.millrace.schemas.state.StateWriter;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Options of PPO beside the plain one: what they leave out, their gradients, their recovery. */
class PpoOptionsTest {

  private static final long SEED = 13;
  private static final LlamaConfig CONFIG =
      LlamaConfig.builder()
          .vocabSize(30)
          .hiddenSize(16)
          .layers(1)
          .heads(2)
          .kvHeads(1)
          .headDim(8)
          .ffnSize(24)
          .maxPositions(32)
          .tiedHead(true)
          .bosToken(1)
          .eosToken(2)
          .build();

  private final Backend backend = new CpuBackend();

  @AfterEach
  void close() {
    backend.close();
  }

  private PpoTrainer trainer(UnaryOperator<PpoSettings.Builder> options) {
    LanguageModel policy = LanguageModel.random(backend, CONFIG, SEED);
    ScalarModel critic = ScalarModel.onTrunkOf(backend, CONFIG, policy.weights());
    PpoSettings.Builder settings =
        PpoSettings.builder()
            .miniBatchSize(4)
            .epochs(2)
            .importanceWeight(new ImportanceWeight(ImportanceWeight.DEFAULT_LIMIT))
            .maxSkippedUpdates(3)
            .seed(SEED)
            .learningRate(LearningRate.constant(5e-3))
            .criticLearningRate(LearningRate.constant(5e-3));
    return new PpoTrainer(
        backend, policy, critic, options.apply(settings).build(), KlController.fixed(0.1));
  }

  /** Off-policy rollouts of random tokens. */
  private static List<PpoRollout> rollouts(int count, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    List<PpoRollout> rollouts = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      int[] response = random.ints(2 + random.nextInt(5), 3, 30).toArray();
      float[] logProbs = new float[response.length];
      float[] reference = new float[response.length];
      for (int t = 0; t < response.length; t++) {
        logProbs[t] = (float) (-Math.log(30) + 0.3 * random.nextGaussian());
        reference[t] = (float) (-Math.log(30) + 0.3 * random.nextGaussian());
      }
      rollouts.add(
          new PpoRollout(
              "r" + i,
              new int[] {1, 3 + i},
              response,
              logProbs,
              reference,
              (float) random.nextGaussian(),
              0,
              false,
              i % 3 == 0,
              true));
    }
    return rollouts;
  }

  private static float[] floats(Parameters weights) {
    return weights.flat().toFloats();
  }

  @Test
  void aWarmUpUpdatesOnlyTheCritic() {
    try (PpoTrainer trainer = trainer(settings -> settings.criticWarmup(2))) {
      float[] before = floats(trainer.policy().weights());
      for (int round = 0; round < 2; round++) {
        float[] critic = floats(trainer.critic().weights());
        PpoIteration warm = trainer.iterate(rollouts(8, round));
        assertArrayEquals(before, floats(trainer.policy().weights()), 0);
        assertFalse(Arrays.equals(critic, floats(trainer.critic().weights())));
        assertEquals(0, trainer.steps());
        assertTrue(warm.metrics().get("loss/value_avg") > 0);
        assertNull(warm.metrics().get("loss/policy_avg"), "no update of the policy measured it");
      }
      PpoIteration third = trainer.iterate(rollouts(8, 2));
      assertFalse(Arrays.equals(before, floats(trainer.policy().weights())));
      assertEquals(4, trainer.steps());
      assertTrue(third.metrics().containsKey("loss/policy_avg"));
    }
  }

  @Test
  void updatesAfterTheBoundOfTheKlAreLeftOutAndCounted() {
    List<PpoRollout> batch = rollouts(16, 5);
    double[] kl = new double[2];
    long[] steps = new long[2];
    for (int bounded = 0; bounded < 2; bounded++) {
      double bound = bounded == 1 ? 1e-4 : Double.POSITIVE_INFINITY;
      try (PpoTrainer trainer = trainer(settings -> settings.epochs(4).maxUpdateKl(bound))) {
        PpoIteration iteration = trainer.iterate(batch);
        kl[bounded] = iteration.metrics().get("policy/approxkl_avg");
        steps[bounded] = trainer.steps();
        assertEquals(16, trainer.steps() + iteration.metrics().get("updates/stopped"));
        assertEquals(0, iteration.metrics().get("updates/skipped"));
        // The next batch begins anew, around the policy as it is then.
        trainer.iterate(rollouts(8, 6));
        assertTrue(trainer.steps() > steps[bounded]);
      }
    }
    assertEquals(16, steps[0]);
    assertTrue(steps[1] >= 1 && steps[1] < 16, "updates " + steps[1]);
    assertTrue(kl[1] <= 1e-4 && kl[0] > 1e-4, kl[0] + " and " + kl[1]);
  }

  /** The gradient of c times the mean entropy, by differences of every twentieth weight. */
  @Test
  void theEntropyBonusHasTheGradientOfTheEntropy() {
    double bonus = 0.7;
    List<PpoRollout> batch = rollouts(3, 9);
    PpoSettings settings =
        PpoSettings.builder()
            .miniBatchSize(3)
            .entropyBonus(bonus)
            .maxSkippedUpdates(1)
            .temperature(0.7f)
            .learningRate(LearningRate.constant(1e-3))
            .criticLearningRate(LearningRate.constant(1e-3))
            .build();
    try (LanguageModel policy = LanguageModel.random(backend, CONFIG, SEED);
        Optimizer optimizer =
            new Optimizer(backend, policy.weights(), settings.adamW(), settings.learningRate())) {
      // Larger weights than a new model's: the entropy of uniform probabilities has no slope.
      float[] weights = floats(policy.weights());
      for (int i = 0; i < weights.length; i++) {
        weights[i] *= 8;
      }
      policy.weights().flat().write(weights);
      PpoBatch state = new PpoBatch(batch);
      // Advantages of 0: the entropy is the whole loss.
      Arrays.fill(state.weights, 1);
      PolicyPass pass =
          new PolicyPass(
              policy, optimizer, settings, state, new int[] {0, 1, 2}, new int[] {0, 1, 2}, 0);
      pass.run();
      float[] gradient = floats(optimizer.gradients());
      assertEquals(meanEntropy(policy, batch), pass.entropy, 1e-5);
      double h = 2e-3;
      double largest = 0;
      for (int i = 0; i < weights.length; i += 20) {
        double[] side = new double[2];
        for (int s = 0; s < 2; s++) {
          float[] moved = weights.clone();
          moved[i] += (float) (s == 0 ? h : -h);
          policy.weights().flat().write(moved);
          side[s] = meanEntropy(policy, batch);
        }
        double numeric = -bonus * (side[0] - side[1]) / (2 * h);
        largest = Math.max(largest, Math.abs(numeric));
        assertEquals(numeric, gradient[i], 3e-4 + 0.02 * Math.abs(numeric), "weight " + i);
      }
      assertTrue(largest > 0.01, "the gradient must be there, to show anything: " + largest);
    }
  }

  private static double meanEntropy(LanguageModel policy, List<PpoRollout> batch) {
    List<int[]> sequences = batch.stream().map(PpoRollout::tokens).toList();
    Targets targets =
        Targets.from(sequences, batch.stream().mapToInt(r -> r.prompt().length).toArray());
    float[] entropies = policy.forward(sequences, targets, 0.7f).entropies();
    double sum = 0;
    for (float entropy : entropies) {
      sum += entropy;
    }
    return sum / entropies.length;
  }

  @Test
  void weightsAreMeasuredBeforeAndAfterTheyAreCut() {
    try (PpoTrainer trainer =
        trainer(settings -> settings.importanceWeight(new ImportanceWeight(1.2)))) {
      PpoIteration iteration = trainer.iterate(rollouts(8, 3));
      assertEquals(1, iteration.metrics().get("stream/recomputed_share"));
      assertTrue(iteration.metrics().get("stream/importance_weight_max") > 1.2);
      double cut = iteration.metrics().get("stream/importance_weight_truncated");
      assertTrue(cut > 0.05 && cut < 0.9, "truncated " + cut);
      double effective = iteration.metrics().get("stream/effective_sample_share");
      assertTrue(effective > 0.5 && effective < 1, "effective " + effective);
    }
  }

  /** Every option at once, stopped between any two steps of three iterations. */
  @Test
  void everyOptionResumesBitForBitBetweenAnyTwoSteps() throws IOException {
    UnaryOperator<PpoSettings.Builder> all =
        settings ->
            settings
                .criticWarmup(1)
                .maxUpdateKl(3e-4)
                .entropyBonus(0.05)
                .klPenalty(new KlPenalty(KlEstimator.K2, KlPlacement.LOSS, 1));
    try (PpoTrainer straight = trainer(all)) {
      List<byte[]> moments = new ArrayList<>();
      List<PpoIteration> done = new ArrayList<>();
      List<Integer> iterationOf = new ArrayList<>();
      for (int round = 0; round < 3; round++) {
        straight.begin(rollouts(10, round));
        while (done.size() == round) {
          moments.add(StateWriter.toBytes(straight::write));
          iterationOf.add(round);
          straight.step().ifPresent(done::add);
        }
      }
      assertTrue(
          done.stream().anyMatch(iteration -> iteration.metrics().get("updates/stopped") > 0),
          "one iteration must stop early, to show anything");
      float[] policy = floats(straight.policy().weights());
      float[] critic = floats(straight.critic().weights());
      for (int m = 0; m < moments.size(); m++) {
        try (PpoTrainer resumed = trainer(all)) {
          resumed.read(StateReader.of(moments.get(m)));
          for (int round = iterationOf.get(m); round < 3; round++) {
            if (!resumed.busy()) {
              resumed.begin(rollouts(10, round));
            }
            PpoIteration again = null;
            while (again == null) {
              again = resumed.step().orElse(null);
            }
            assertEquals(done.get(round).metrics(), again.metrics());
          }
          assertArrayEquals(policy, floats(resumed.policy().weights()), 0);
          assertArrayEquals(critic, floats(resumed.critic().weights()), 0);
        }
      }
    }
  }
}
