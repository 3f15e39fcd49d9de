package io.millrace.model.ppo;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.model.llama.ActivationMemory;
import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.reward.RewardModelTrainer;
import io.millrace.model.supervised.SupervisedTrainer;
import io.millrace.model.tensor.AdamW;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Backends;
import io.millrace.model.training.LearningRate;
import io.millrace.model.training.MicroBatches;
import io.millrace.model.training.MicroBatches.Part;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Batches in parts by tokens: where they are cut, and that learning is the same. */
class MicroBatchesTest {

  private static final long SEED = 13;
  private static final LlamaConfig CONFIG =
      LlamaConfig.builder()
          .vocabSize(30)
          .hiddenSize(16)
          .layers(2)
          .heads(2)
          .kvHeads(1)
          .headDim(8)
          .ffnSize(24)
          .maxPositions(32)
          .tiedHead(true)
          .bosToken(1)
          .eosToken(2)
          .build();

  private final Backend backend = Backends.openDefault();

  @AfterEach
  void close() {
    backend.close();
  }

  private static List<int[]> lengths(int... lengths) {
    return Arrays.stream(lengths).mapToObj(int[]::new).toList();
  }

  @Test
  void partsHoldAsManyTokensAsAllowed() {
    assertEquals(
        List.of(new Part(0, 2), new Part(2, 3), new Part(3, 5)),
        MicroBatches.of(lengths(3, 7, 4, 8, 2), 1, 10));
    assertEquals(List.of(new Part(0, 5)), MicroBatches.of(lengths(3, 7, 4, 8, 2), 1, 24));
  }

  @Test
  void whatIsTooLongIsAPartOfItsOwn() {
    assertEquals(
        List.of(new Part(0, 1), new Part(1, 2), new Part(2, 3)),
        MicroBatches.of(lengths(3, 20, 3), 1, 10));
  }

  @Test
  void itemsOfTwoSequencesAreNotCut() {
    assertEquals(
        List.of(new Part(0, 1), new Part(1, 3)), MicroBatches.of(lengths(3, 4, 2, 2, 4, 2), 2, 10));
  }

  private static List<PpoRollout> rollouts(int count) {
    SplittableRandom random = new SplittableRandom(SEED);
    List<PpoRollout> rollouts = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      int[] prompt = random.ints(random.nextInt(1, 8), 3, 30).toArray();
      int[] response = random.ints(random.nextInt(1, 12), 3, 30).toArray();
      float[] logProbs = new float[response.length];
      float[] reference = new float[response.length];
      for (int t = 0; t < response.length; t++) {
        logProbs[t] = (float) (-3.4 + 0.3 * random.nextGaussian());
        reference[t] = (float) (-3.4 + 0.3 * random.nextGaussian());
      }
      rollouts.add(
          new PpoRollout(
              "r" + i,
              prompt,
              response,
              logProbs,
              reference,
              (float) random.nextGaussian(),
              (float) random.nextGaussian(),
              i % 3 == 0,
              i % 4 == 0,
              i % 5 == 0));
    }
    return rollouts;
  }

  /** Policy and critic after an iteration, one after the other. */
  private float[][] afterPpo(ActivationMemory memory) {
    LanguageModel policy = LanguageModel.random(backend, CONFIG, SEED);
    ScalarModel critic = ScalarModel.onTrunkOf(backend, CONFIG, policy.weights());
    policy.useMemory(memory);
    critic.useMemory(memory);
    try (PpoTrainer trainer = PpoTrainers.trainer(backend, policy, critic, 12, SEED)) {
      trainer.iterate(rollouts(24));
      return new float[][] {policy.weights().flat().toFloats(), critic.weights().flat().toFloats()};
    }
  }

  @Test
  void partsGrowWithTheModelUnlessTheirSizeIsGiven() {
    LlamaConfig wide =
        LlamaConfig.builder()
            .vocabSize(512)
            .hiddenSize(1024)
            .layers(1)
            .heads(8)
            .kvHeads(8)
            .headDim(128)
            .ffnSize(64)
            .maxPositions(64)
            .tiedHead(true)
            .bosToken(1)
            .eosToken(2)
            .build();
    assertEquals(512, ActivationMemory.defaults().partTokens(CONFIG));
    assertEquals(2048, ActivationMemory.defaults().partTokens(wide));
    assertEquals(30, new ActivationMemory(30, false).partTokens(wide));
  }

  @Test
  void ppoLearnsTheSameFromParts() {
    float[][] whole = afterPpo(ActivationMemory.defaults());
    for (int tokens : new int[] {1, 25, 60}) {
      for (boolean recompute : new boolean[] {false, true}) {
        float[][] parts = afterPpo(new ActivationMemory(tokens, recompute));
        for (int model = 0; model < 2; model++) {
          // AdamW divides by the gradients' size, and so magnifies the smallest ones' rounding.
          assertEquals(1, cosine(changes(whole, model), changes(parts, model)), 1e-5);
        }
      }
    }
    assertNotEquals(
        0, Arrays.compare(whole[0], afterPpo(new ActivationMemory(1, false))[0]), "not split");
  }

  private float[] changes(float[][] after, int model) {
    try (LanguageModel policy = LanguageModel.random(backend, CONFIG, SEED);
        ScalarModel critic = ScalarModel.onTrunkOf(backend, CONFIG, policy.weights())) {
      float[] before = (model == 0 ? policy.weights() : critic.weights()).flat().toFloats();
      float[] changes = new float[before.length];
      for (int i = 0; i < before.length; i++) {
        changes[i] = after[model][i] - before[i];
      }
      return changes;
    }
  }

  private static double cosine(float[] a, float[] b) {
    double ab = dot(a, b);
    assertTrue(ab > 0, "nothing was learned");
    return ab / Math.sqrt(dot(a, a) * dot(b, b));
  }

  private static double dot(float[] a, float[] b) {
    return IntStream.range(0, a.length).mapToDouble(i -> (double) a[i] * b[i]).sum();
  }

  @Test
  void supervisedTrainingLearnsTheSameFromParts() {
    List<SupervisedTrainer.Example> examples = new ArrayList<>();
    SplittableRandom random = new SplittableRandom(SEED);
    for (int i = 0; i < 9; i++) {
      int[] tokens = random.ints(random.nextInt(2, 15), 3, 30).toArray();
      boolean[] loss = new boolean[tokens.length];
      // One example teaches nothing.
      Arrays.fill(loss, tokens.length / 2, tokens.length, i != 4);
      examples.add(new SupervisedTrainer.Example(tokens, loss));
    }
    List<SupervisedTrainer.Step> steps = new ArrayList<>();
    for (int tokens : new int[] {1000, 20, 1}) {
      LanguageModel model = LanguageModel.random(backend, CONFIG, SEED);
      model.useMemory(new ActivationMemory(tokens, false));
      try (SupervisedTrainer trainer =
          new SupervisedTrainer(backend, model, AdamW.llama2(), LearningRate.constant(1e-3))) {
        steps.add(trainer.step(examples));
      }
    }
    for (SupervisedTrainer.Step step : steps) {
      assertEquals(steps.get(0).loss(), step.loss(), 1e-5);
      assertEquals(steps.get(0).learnedTokens(), step.learnedTokens());
      assertEquals(steps.get(0).update().gradientNorm(), step.update().gradientNorm(), 1e-5);
    }
  }

  @Test
  void rewardModelsLearnTheSameFromParts() {
    List<float[]> scores = new ArrayList<>();
    for (int tokens : new int[] {1000, 20, 1}) {
      try (LanguageModel policy = LanguageModel.random(backend, CONFIG, SEED)) {
        ScalarModel model = ScalarModel.onTrunkOf(backend, CONFIG, policy.weights());
        model.useMemory(new ActivationMemory(tokens, tokens == 20));
        try (RewardModelTrainer trainer =
            new RewardModelTrainer(
                backend, model, AdamW.llama2(), LearningRate.constant(1e-2), 1)) {
          List<RewardModelTrainer.Pair> pairs = new ArrayList<>();
          for (PpoRollout rollout : rollouts(10)) {
            pairs.add(
                new RewardModelTrainer.Pair(
                    rollout.tokens(), rollout.response(), 0.5, true, false));
          }
          for (int i = 0; i < 3; i++) {
            trainer.step(pairs, 10L * (i + 1), 1);
          }
          scores.add(model.score(pairs.stream().map(RewardModelTrainer.Pair::preferred).toList()));
        }
      }
    }
    assertArrayEquals(scores.get(0), scores.get(1), 1e-3f);
    assertArrayEquals(scores.get(0), scores.get(2), 1e-3f);
  }
}
