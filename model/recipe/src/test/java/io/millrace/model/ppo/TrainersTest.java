package io.millrace.model.ppo;

import static java.lang.Float.NaN;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.model.cpu.CpuBackend;
import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.llama.Parameters;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.reward.RewardModelTrainer;
import io.millrace.model.sampling.EngineSettings;
import io.millrace.model.sampling.SampledResponse;
import io.millrace.model.sampling.SamplingEngine;
import io.millrace.model.sampling.SamplingOptions;
import io.millrace.model.sampling.SamplingRequest;
import io.millrace.model.supervised.SupervisedTrainer;
import io.millrace.model.tensor.AdamW;
import io.millrace.model.tensor.Backend;
import io.millrace.model.training.DivergedException;
import io.millrace.model.training.LearningRate;
import io.millrace.model.training.Optimizer;
import io.millrace.schemas.state.StateReader;
import io.millrace.schemas.state.StateWriter;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The trainers on tiny models: they learn, and they resume bit for bit. */
class TrainersTest {

  private static final long SEED = 11;
  private static final int STOP = 2;
  private static final AdamW ADAMW = AdamW.llama2();
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
          .eosToken(STOP)
          .build();

  private final Backend backend = new CpuBackend();

  @AfterEach
  void close() {
    backend.close();
  }

  private static List<SupervisedTrainer.Example> examples(int count) {
    SplittableRandom random = new SplittableRandom(SEED);
    List<SupervisedTrainer.Example> examples = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      int key = random.nextInt(3, 10);
      int[] tokens = {1, key, key + 10, STOP};
      examples.add(new SupervisedTrainer.Example(tokens, new boolean[] {false, false, true, true}));
    }
    return examples;
  }

  private SupervisedTrainer supervised() {
    return new SupervisedTrainer(
        backend, LanguageModel.random(backend, CONFIG, SEED), ADAMW, LearningRate.constant(1e-2));
  }

  @Test
  void supervisedTrainingLearnsTheAnswersAndNothingElse() {
    try (SupervisedTrainer trainer = supervised()) {
      double first = trainer.step(examples(16)).loss();
      double last = first;
      for (int i = 0; i < 60; i++) {
        last = trainer.step(examples(16)).loss();
      }
      assertTrue(last < first / 10, first + " to " + last);
      SamplingOptions greedy = new SamplingOptions(4, 0, 1, STOP);
      try (SamplingEngine engine = new SamplingEngine(trainer.model(), EngineSettings.of(1, 6))) {
        SamplingRequest request = SamplingRequest.single(new int[] {1, 5}, SEED, greedy);
        int[] response = engine.sampleAll(List.of(request)).get(0).tokens();
        assertArrayEquals(new int[] {15, STOP}, response);
      }
    }
    assertThrows(
        IllegalArgumentException.class,
        () -> new SupervisedTrainer.Example(new int[] {1, 2}, new boolean[] {true}));
  }

  private static StateReader copy(StateWriter.Source source) throws IOException {
    return StateReader.of(StateWriter.toBytes(source));
  }

  @Test
  void supervisedTrainingResumesBitForBit() throws IOException {
    try (SupervisedTrainer straight = supervised();
        SupervisedTrainer resumed = supervised()) {
      for (int i = 0; i < 3; i++) {
        straight.step(examples(4 + i));
      }
      resumed.read(copy(straight::write));
      for (int i = 0; i < 3; i++) {
        straight.step(examples(7 + i));
        resumed.step(examples(7 + i));
      }
      assertEquals(6, resumed.steps());
      assertArrayEquals(weights(straight), weights(resumed), 0);
    }
  }

  private static float[] weights(SupervisedTrainer trainer) {
    return trainer.model().weights().flat().toFloats();
  }

  private static List<RewardModelTrainer.Pair> pairs(int count) {
    SplittableRandom random = new SplittableRandom(SEED);
    List<RewardModelTrainer.Pair> pairs = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      int other = random.nextInt(10, 20);
      // Token 5 is good, token 6 bad, in whatever company.
      pairs.add(
          new RewardModelTrainer.Pair(
              new int[] {1, other, 5, STOP},
              new int[] {1, other, other, 6, STOP},
              1.0 / 3,
              i % 2 == 0 ? false : null,
              i % 2 == 0 ? true : null));
    }
    return pairs;
  }

  private RewardModelTrainer rewardModel() {
    LanguageModel policy = LanguageModel.random(backend, CONFIG, SEED);
    ScalarModel model = ScalarModel.onTrunkOf(backend, CONFIG, policy.weights());
    policy.close();
    return new RewardModelTrainer(backend, model, ADAMW, LearningRate.constant(1e-2), 1);
  }

  @Test
  void aRewardModelScoresBeforeItLearnsAndThenLearns() {
    try (RewardModelTrainer trainer = rewardModel()) {
      RewardModelTrainer.Step first = trainer.step(pairs(8), 8, 1);
      // A new head is zero: before learning every score is.
      assertArrayEquals(new float[8], first.preferredScores());
      RewardModelTrainer.Step last = first;
      for (int i = 0; i < 60; i++) {
        last = trainer.step(pairs(8), trainer.steps() + 1, 1);
      }
      assertTrue(last.loss() < first.loss() / 4, first.loss() + " to " + last.loss());
      float[] scores =
          trainer
              .model()
              .score(List.of(new int[] {1, 12, 5, STOP}, new int[] {1, 12, 12, 6, STOP}));
      assertTrue(
          scores[0] > 0.5 && scores[1] < -0.5,
          "labels fix the zero: " + scores[0] + ", " + scores[1]);
    }
  }

  @Test
  void aRewardModelsLearningRateGoesByJudgmentsAndNotByUpdates() {
    LanguageModel policy = LanguageModel.random(backend, CONFIG, SEED);
    ScalarModel model = ScalarModel.onTrunkOf(backend, CONFIG, policy.weights());
    policy.close();
    LearningRate schedule = LearningRate.rewardModel(1e-2, 100, 8, 0.03);
    try (RewardModelTrainer trainer = new RewardModelTrainer(backend, model, ADAMW, schedule, 1)) {
      assertEquals(1e-2 / 5, trainer.step(pairs(8), 8, 1).update().learningRate(), 1e-15);
      assertEquals(1e-2, trainer.step(pairs(8), 40, 1).update().learningRate(), 1e-15);
      assertEquals(1e-3, trainer.step(pairs(8), 100, 1).update().learningRate(), 1e-15);
      assertEquals(3, trainer.steps());
    }
  }

  @Test
  void aLabelWeighsTheSameHoweverManyOthersThereAre() {
    try (RewardModelTrainer trainer = rewardModel()) {
      // A new head scores 0: each label loses ln 2. Of 16 responses 8 have a label, of 2 all.
      assertEquals(Math.log(2) / 2, trainer.step(pairs(8), 8, 1).labelLoss(), 1e-6);
    }
    try (RewardModelTrainer trainer = rewardModel()) {
      assertEquals(Math.log(2), trainer.step(pairs(1), 1, 1).labelLoss(), 1e-6);
    }
  }

  @Test
  void aBatchThatIsNotFullTakesAStepToItsSize() {
    try (RewardModelTrainer trainer = rewardModel()) {
      assertEquals(1e-2 / 4, trainer.step(pairs(2), 2, 0.25).update().learningRate(), 1e-15);
      assertThrows(IllegalArgumentException.class, () -> trainer.step(pairs(2), 4, 0));
    }
  }

  @Test
  void aJudgmentCountsByItsWeight() {
    try (RewardModelTrainer weighted = rewardModel();
        RewardModelTrainer alone = rewardModel()) {
      List<RewardModelTrainer.Pair> pairs = pairs(8);
      List<RewardModelTrainer.Pair> half = new ArrayList<>();
      for (int i = 0; i < 8; i++) {
        half.add(pairs.get(i).withWeight(i % 2 == 0 ? 0.25 : 0));
      }
      for (int i = 0; i < 3; i++) {
        RewardModelTrainer.Step step = weighted.step(half, 8, 1);
        RewardModelTrainer.Step other =
            alone.step(List.of(pairs.get(0), pairs.get(2), pairs.get(4), pairs.get(6)), 8, 1);
        assertEquals(other.loss(), step.loss(), 1e-6);
        assertEquals(other.labelLoss(), step.labelLoss(), 1e-6);
      }
      assertArrayEquals(
          alone.model().weights().flat().toFloats(),
          weighted.model().weights().flat().toFloats(),
          1e-5f);
    }
  }

  @Test
  void aBatchWithoutWeightChangesNothing() {
    try (RewardModelTrainer trainer = rewardModel()) {
      float[] before = trainer.model().weights().flat().toFloats();
      RewardModelTrainer.Step step =
          trainer.step(pairs(4).stream().map(pair -> pair.withWeight(0)).toList(), 4, 1);
      assertEquals(0, step.loss());
      assertEquals(0, step.labelLoss());
      assertFalse(step.update().applied());
      assertArrayEquals(before, trainer.model().weights().flat().toFloats(), 0);
      assertThrows(IllegalArgumentException.class, () -> pairs(1).get(0).withWeight(-1));
      assertThrows(IllegalArgumentException.class, () -> pairs(1).get(0).withWeight(Double.NaN));
    }
  }

  private PpoTrainer ppo() {
    LanguageModel policy = LanguageModel.random(backend, CONFIG, SEED);
    ScalarModel critic = ScalarModel.onTrunkOf(backend, CONFIG, policy.weights());
    return new PpoTrainer(
        backend,
        policy,
        critic,
        PpoSettings.builder()
            .miniBatchSize(8)
            .importanceWeight(new ImportanceWeight(ImportanceWeight.DEFAULT_LIMIT))
            .maxSkippedUpdates(3)
            .seed(SEED)
            .adamW(ADAMW)
            .learningRate(LearningRate.constant(5e-3))
            .criticLearningRate(LearningRate.constant(5e-3))
            .build(),
        KlController.fixed(0.01));
  }

  /** Rollouts of the policy itself, scored by how many of their tokens are 7. */
  private static List<PpoRollout> rollouts(PpoTrainer trainer, int count, long round) {
    SamplingOptions options = new SamplingOptions(6, 1, 1, STOP);
    List<SamplingRequest> requests = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      long seed = SamplingRequest.seed(SEED, "r" + round + "/" + i);
      requests.add(SamplingRequest.single(new int[] {1, 3 + i % 4}, seed, options));
    }
    List<SampledResponse> responses;
    try (SamplingEngine engine =
        new SamplingEngine(trainer.policy(), EngineSettings.of(count, 8))) {
      responses = engine.sampleAll(requests);
    }
    List<PpoRollout> rollouts = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      SampledResponse response = responses.get(i);
      int sevens = 0;
      for (int token : response.tokens()) {
        sevens += token == 7 ? 1 : 0;
      }
      rollouts.add(
          new PpoRollout(
              "r" + round + "/" + i,
              requests.get(i).prompt(),
              response.tokens(),
              response.logProbs(),
              response.logProbs(),
              sevens,
              0,
              false,
              !response.stopped(),
              false));
    }
    return rollouts;
  }

  @Test
  void theRatioIsOneBeforeTheFirstUpdate() {
    try (PpoTrainer trainer = ppo()) {
      // One mini-batch: every ratio is taken before any update.
      PpoIteration iteration = trainer.iterate(rollouts(trainer, 8, 0));
      assertEquals(1, iteration.metrics().get("val/ratio"), 1e-4);
      assertEquals(0, iteration.metrics().get("policy/clipfrac_avg"));
      assertEquals(0, iteration.metrics().get("policy/approxkl_avg"), 1e-7);
      assertEquals(0, iteration.metrics().get("policy/log_ratios_clamped"));
    }
  }

  @Test
  void logRatiosThatAreClampedAreCounted() {
    try (PpoTrainer trainer = ppo()) {
      List<PpoRollout> rollouts = rollouts(trainer, 8, 0);
      // The policy claims to have sampled these tokens with a probability of e^-100.
      float[] logProbs = rollouts.getFirst().logProbs();
      Arrays.fill(logProbs, -100);
      PpoIteration iteration = trainer.iterate(rollouts);
      assertEquals(logProbs.length, iteration.metrics().get("policy/log_ratios_clamped"));
    }
  }

  @Test
  void ppoEarnsMoreThanItBeganWith() {
    try (PpoTrainer trainer = ppo()) {
      double first = trainer.iterate(rollouts(trainer, 32, 0)).metrics().get("objective/scores");
      double last = first;
      for (int round = 1; round < 25; round++) {
        last = trainer.iterate(rollouts(trainer, 32, round)).metrics().get("objective/scores");
      }
      assertTrue(last > first + 0.5, first + " to " + last + ", seed " + SEED);
    }
  }

  @Test
  void equalScoresChangeNothingIntoNotANumber() {
    try (PpoTrainer trainer = ppo()) {
      List<PpoRollout> equal =
          rollouts(trainer, 8, 0).stream()
              .map(
                  r ->
                      new PpoRollout(
                          r.id(),
                          r.prompt(),
                          r.response(),
                          r.logProbs(),
                          r.referenceLogProbs(),
                          1,
                          0,
                          false,
                          false,
                          false))
              .toList();
      PpoIteration iteration = trainer.iterate(equal);
      assertArrayEquals(new double[8], iteration.whitened());
      iteration
          .metrics()
          .forEach((name, value) -> assertTrue(Double.isFinite(value), name + " " + value));
    }
  }

  @Test
  void ppoResumesBitForBit() throws IOException {
    try (PpoTrainer straight = ppo();
        PpoTrainer resumed = ppo()) {
      straight.iterate(rollouts(straight, 16, 0));
      resumed.read(copy(straight::write));
      for (int round = 1; round < 3; round++) {
        straight.iterate(rollouts(straight, 16, round));
        resumed.iterate(rollouts(resumed, 16, round));
      }
      assertEquals(3, resumed.iteration());
      assertArrayEquals(floats(straight.policy().weights()), floats(resumed.policy().weights()), 0);
      assertArrayEquals(floats(straight.critic().weights()), floats(resumed.critic().weights()), 0);
    }
  }

  @Test
  void ppoResumesBitForBitBetweenAnyTwoPiecesOfABatch() throws IOException {
    try (PpoTrainer straight = ppo()) {
      List<PpoRollout> batch = stale(rollouts(straight, 20, 0));
      List<byte[]> moments = new ArrayList<>();
      straight.begin(batch);
      PpoIteration done = null;
      while (done == null) {
        moments.add(StateWriter.toBytes(straight::write));
        done = straight.step().orElse(null);
      }
      // 20 rollouts by 8: three pieces of values, three updates.
      assertEquals(6, moments.size());
      float[] policy = floats(straight.policy().weights());
      float[] critic = floats(straight.critic().weights());
      for (byte[] moment : moments) {
        try (PpoTrainer resumed = ppo()) {
          resumed.read(StateReader.of(moment));
          PpoIteration again = null;
          while (again == null) {
            again = resumed.step().orElse(null);
          }
          assertEquals(done.metrics(), again.metrics());
          assertArrayEquals(done.kl(), again.kl());
          assertArrayEquals(policy, floats(resumed.policy().weights()), 0);
          assertArrayEquals(critic, floats(resumed.critic().weights()), 0);
        }
      }
    }
  }

  /** The same rollouts, as if an older policy had sampled them. */
  private static List<PpoRollout> stale(List<PpoRollout> rollouts) {
    return rollouts.stream()
        .map(
            r ->
                new PpoRollout(
                    r.id(),
                    r.prompt(),
                    r.response(),
                    r.logProbs(),
                    r.referenceLogProbs(),
                    r.helpfulnessScore(),
                    r.safetyScore(),
                    r.isSafety(),
                    r.truncated(),
                    true))
        .toList();
  }

  @Test
  void staleRolloutsAreWeightedByHowMuchTodaysPolicyWouldSampleThem() {
    try (PpoTrainer trainer = ppo()) {
      List<PpoRollout> old = rollouts(trainer, 8, 0);
      for (int round = 1; round < 6; round++) {
        trainer.iterate(rollouts(trainer, 16, round));
      }
      PpoIteration iteration = trainer.iterate(stale(old));
      // The clip is around today's policy: before its first update the ratio is 1 all the same.
      assertEquals(1, iteration.metrics().get("val/ratio"), 1e-4);
      double weight = iteration.metrics().get("stream/importance_weight_avg");
      assertTrue(weight > 0.05 && weight < 2 && Math.abs(weight - 1) > 1e-3, "weight " + weight);
      // π_0 is the policy that sampled these: the KL is today's policy's, not 0.
      assertTrue(Math.abs(iteration.metrics().get("objective/kl")) > 1e-3);
    }
  }

  @Test
  void updatesThatAreNotFiniteAreLeftOutAndAtLastStopTheTraining() {
    try (PpoTrainer trainer = ppo()) {
      List<PpoRollout> rollouts = rollouts(trainer, 16, 0);
      // One bad weight of the embedding of a token that every prompt has: a loss that is no number.
      trainer.policy().weights().get(LlamaConfig.EMBEDDING).write(16, new float[] {NaN}, 0, 1);
      float[] before = floats(trainer.policy().weights());
      PpoIteration iteration = trainer.iterate(rollouts);
      assertEquals(2, iteration.metrics().get("updates/skipped"));
      assertNull(iteration.metrics().get("policy/entropy_avg"), "no update measured it");
      assertArrayEquals(before, floats(trainer.policy().weights()), 0);
      assertEquals(0, trainer.steps());
      DivergedException e = assertThrows(DivergedException.class, () -> trainer.iterate(rollouts));
      assertTrue(e.getMessage().contains("r0/0"), e.getMessage());
    }
  }

  private static float[] floats(Parameters weights) {
    return weights.flat().toFloats();
  }

  @Test
  void aGradientThatIsNotFiniteLeavesTheWeightsAlone() {
    try (LanguageModel model = LanguageModel.random(backend, CONFIG, SEED);
        Optimizer optimizer =
            new Optimizer(backend, model.weights(), ADAMW, LearningRate.constant(1))) {
      float[] before = floats(model.weights());
      optimizer.gradients().flat().write(0, new float[] {Float.NaN}, 0, 1);
      assertTrue(!optimizer.update().applied());
      assertArrayEquals(before, floats(model.weights()), 0);
      assertEquals(0, optimizer.step());
      assertEquals(0, backend.norm(optimizer.gradients().flat()));
    }
  }
}
