package io.millrace.model.ppo;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.model.cpu.CpuBackend;
import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.ppo.PpoObjective.ClipLevel;
import io.millrace.model.ppo.PpoObjective.LossMean;
import io.millrace.model.tensor.Backend;
import io.millrace.model.training.LearningRate;
import io.millrace.schemas.state.StateReader;
import io.millrace.schemas.state.StateWriter;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Advantages without a critic: worked by hand, and training with them. */
class CriticFreeTest {

  private static final long SEED = 17;
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

  @Test
  void workedByHand() {
    double[] rewards = {1, 2, 6};
    assertArrayEquals(
        new double[] {1 - 4, 2 - 3.5, 6 - 1.5},
        Advantages.of(AdvantageMethod.RLOO).ofGroup(rewards),
        1e-14);
    double deviation = Math.sqrt((4 + 1 + 9) / 3.0 + 1e-8);
    assertArrayEquals(
        new double[] {-2 / deviation, -1 / deviation, 3 / deviation},
        Advantages.of(AdvantageMethod.GRPO).ofGroup(rewards),
        1e-14);
    assertArrayEquals(
        new double[] {-2, -1, 3},
        new Advantages(AdvantageMethod.GRPO, 1, 1, false).ofGroup(rewards),
        1e-14);
    assertArrayEquals(
        new double[] {1 + 0.5 * (2 + 0.5 * 6), 2 + 0.5 * 6, 6},
        new Advantages(AdvantageMethod.REINFORCE_PLUS_PLUS, 0.5, 1, true).rewardsToGo(rewards),
        1e-14);
  }

  /** Without values and with λ = 1, GAE is the discounted reward to go. */
  @Test
  void rewardsToGoAreGaeOfACriticThatSaysNothing() {
    double[] rewards = {0.1, -0.7, 2.3, 0.4};
    assertArrayEquals(
        new Advantages(0.9, 1).estimate(rewards, new float[4]).advantages(),
        new Advantages(AdvantageMethod.REINFORCE_PLUS_PLUS, 0.9, 0.3, true).rewardsToGo(rewards),
        1e-14);
  }

  @ParameterizedTest
  @EnumSource(
      value = AdvantageMethod.class,
      names = {"RLOO", "GRPO"})
  void equalRewardsAndAResponseAloneTeachNothing(AdvantageMethod method) {
    for (boolean deviation : new boolean[] {false, true}) {
      Advantages advantages = new Advantages(method, 1, 1, deviation);
      assertArrayEquals(new double[] {0}, advantages.ofGroup(new double[] {0.1}), 0);
      assertArrayEquals(
          new double[3], advantages.ofGroup(new double[] {0.1 + 0.2, 0.1 + 0.2, 0.1 + 0.2}), 0);
      // The shift of a whitening cancels out.
      assertArrayEquals(
          advantages.ofGroup(new double[] {1, 2, 6}),
          advantages.ofGroup(new double[] {101, 102, 106}),
          1e-9);
    }
    assertThrows(
        IllegalArgumentException.class,
        () -> Advantages.of(method).ofGroup(new double[] {1, Double.NaN}));
  }

  @Test
  void aMethodComparesResponsesOrDoesNot() {
    double[] rewards = {1, 2};
    assertThrows(IllegalStateException.class, () -> Advantages.defaults().ofGroup(rewards));
    assertThrows(
        IllegalStateException.class,
        () -> Advantages.of(AdvantageMethod.REINFORCE_PLUS_PLUS).ofGroup(rewards));
    assertThrows(
        IllegalArgumentException.class, () -> Advantages.defaults().rewardsToGo(new double[0]));
  }

  private static PpoSettings settings(AdvantageMethod method) {
    boolean inLoss = method == AdvantageMethod.GRPO;
    return PpoSettings.builder()
        .miniBatchSize(4)
        .epochs(2)
        .advantages(Advantages.of(method))
        .klPenalty(
            inLoss ? new KlPenalty(KlEstimator.K3, KlPlacement.LOSS, 1) : KlPenalty.defaults())
        .objective(
            new PpoObjective(
                0.2, 0.28, 3, inLoss ? ClipLevel.SEQUENCE : ClipLevel.TOKEN, LossMean.RESPONSES, 1))
        .importanceWeight(new ImportanceWeight(ImportanceWeight.DEFAULT_LIMIT))
        .maxSkippedUpdates(3)
        .seed(SEED)
        .learningRate(LearningRate.constant(5e-3))
        .criticLearningRate(LearningRate.constant(5e-3))
        .build();
  }

  private PpoTrainer trainer(AdvantageMethod method) {
    return new PpoTrainer(
        backend,
        LanguageModel.random(backend, CONFIG, SEED),
        null,
        settings(method),
        KlController.fixed(0.1));
  }

  /** Four responses to each of three prompts, and one alone; off-policy. */
  private static List<PpoRollout> rollouts(long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    List<PpoRollout> rollouts = new ArrayList<>();
    for (int i = 0; i < 13; i++) {
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
              new int[] {1, 3 + (i < 12 ? i % 3 : 9)},
              response,
              logProbs,
              reference,
              // The second prompt's responses have one score.
              i % 3 == 1 ? 0.3f : (float) random.nextGaussian(),
              0,
              false,
              false,
              true));
    }
    return rollouts;
  }

  @ParameterizedTest
  @EnumSource(value = AdvantageMethod.class, mode = EnumSource.Mode.EXCLUDE, names = "GAE")
  void thereIsNoCritic(AdvantageMethod method) throws IOException {
    try (PpoTrainer trainer = trainer(method)) {
      assertFalse(trainer.hasCritic());
      assertThrows(IllegalStateException.class, trainer::critic);
      PpoIteration iteration = trainer.iterate(rollouts(1));
      for (String metric : List.of("loss/value_avg", "val/clipfrac_avg", "val/gradient_norm")) {
        assertNull(iteration.metrics().get(metric), metric);
      }
      assertEquals(method.comparesResponses() ? 13 / 4.0 : null, value(iteration, "groups/size"));
      assertTrue(iteration.metrics().get("policy/gradient_norm") > 0);
      // Weights, gradients and two moments of the policy; the rest is activations.
      long weights = 4L * trainer.policy().weights().flat().size();
      int state = StateWriter.toBytes(trainer::write).length;
      assertTrue(state > 3 * weights && state < 3.6 * weights, state + " for " + weights);
    }
  }

  private static Double value(PpoIteration iteration, String metric) {
    return iteration.metrics().get(metric);
  }

  @Test
  void groupsWithoutSpreadAreCounted() {
    try (PpoTrainer trainer = trainer(AdvantageMethod.GRPO)) {
      PpoIteration iteration = trainer.iterate(rollouts(1));
      // Four responses with one score, and one response alone.
      assertEquals(2 / 4.0, value(iteration, "groups/without_spread"));
      assertTrue(value(iteration, "groups/reward_deviation") > 0.1);
    }
  }

  /** Another reward model decides: their scores are not comparable. */
  @Test
  void safetyPromptsAndOthersAreNoOneGroup() {
    List<PpoRollout> rollouts = new ArrayList<>();
    for (PpoRollout r : rollouts(1).subList(0, 12)) {
      rollouts.add(
          new PpoRollout(
              r.id(),
              new int[] {1, 3},
              r.response(),
              r.logProbs(),
              r.referenceLogProbs(),
              r.helpfulnessScore(),
              r.safetyScore(),
              rollouts.size() < 6,
              false,
              true));
    }
    try (PpoTrainer trainer = trainer(AdvantageMethod.RLOO)) {
      assertEquals(6, value(trainer.iterate(rollouts), "groups/size"));
    }
  }

  @ParameterizedTest
  @EnumSource(value = AdvantageMethod.class, mode = EnumSource.Mode.EXCLUDE, names = "GAE")
  void resumesBitForBitBetweenAnyTwoSteps(AdvantageMethod method) throws IOException {
    try (PpoTrainer straight = trainer(method)) {
      List<byte[]> moments = new ArrayList<>();
      List<PpoIteration> done = new ArrayList<>();
      List<Integer> iterationOf = new ArrayList<>();
      for (int round = 0; round < 2; round++) {
        straight.begin(rollouts(round));
        while (done.size() == round) {
          moments.add(StateWriter.toBytes(straight::write));
          iterationOf.add(round);
          straight.step().ifPresent(done::add);
        }
      }
      float[] policy = straight.policy().weights().flat().toFloats();
      for (int m = 0; m < moments.size(); m++) {
        try (PpoTrainer resumed = trainer(method)) {
          resumed.read(StateReader.of(moments.get(m)));
          for (int round = iterationOf.get(m); round < 2; round++) {
            if (!resumed.busy()) {
              resumed.begin(rollouts(round));
            }
            PpoIteration again = null;
            while (again == null) {
              again = resumed.step().orElse(null);
            }
            assertEquals(done.get(round).metrics(), again.metrics());
          }
          assertArrayEquals(policy, resumed.policy().weights().flat().toFloats(), 0);
        }
      }
    }
  }

  @Test
  void aMethodAndACriticThatDoNotFitAreRefused() {
    try (LanguageModel policy = LanguageModel.random(backend, CONFIG, SEED);
        ScalarModel critic = ScalarModel.onTrunkOf(backend, CONFIG, policy.weights())) {
      KlController kl = KlController.fixed(0.1);
      for (AdvantageMethod method : AdvantageMethod.values()) {
        ScalarModel wrong = method.hasCritic() ? null : critic;
        PpoSettings settings = settings(method);
        IllegalArgumentException e =
            assertThrows(
                IllegalArgumentException.class,
                () -> new PpoTrainer(backend, policy, wrong, settings, kl));
        assertTrue(e.getMessage().startsWith(method + " "), e.getMessage());
      }
      PpoSettings.Builder warm =
          PpoSettings.builder()
              .miniBatchSize(1)
              .maxSkippedUpdates(1)
              .learningRate(LearningRate.constant(1))
              .criticLearningRate(LearningRate.constant(1))
              .advantages(Advantages.of(AdvantageMethod.RLOO))
              .criticWarmup(1);
      assertThrows(IllegalArgumentException.class, warm::build);
    }
  }

  /** A policy without a critic learns what is rewarded: the responses of the larger tokens. */
  @ParameterizedTest
  @EnumSource(value = AdvantageMethod.class, mode = EnumSource.Mode.EXCLUDE, names = "GAE")
  void aRewardedResponseBecomesLikelier(AdvantageMethod method) {
    List<PpoRollout> rollouts = new ArrayList<>();
    for (int i = 0; i < 8; i++) {
      float[] logProbs = new float[2];
      Arrays.fill(logProbs, (float) -Math.log(30));
      int token = i % 2 == 0 ? 5 : 25;
      rollouts.add(
          new PpoRollout(
              "r" + i,
              new int[] {1, 3 + i / 4},
              new int[] {token, 2},
              logProbs,
              logProbs,
              token == 25 ? 1 : -1,
              0,
              false,
              false,
              true));
    }
    try (PpoTrainer trainer = trainer(method)) {
      double before = difference(trainer, rollouts);
      for (int i = 0; i < 3; i++) {
        trainer.iterate(rollouts);
      }
      assertTrue(difference(trainer, rollouts) > before + 0.2, method + "");
    }
  }

  /** log π of the rewarded token less log π of the other one, after the first prompt. */
  private static double difference(PpoTrainer trainer, List<PpoRollout> rollouts) {
    PpoBatch batch = new PpoBatch(rollouts);
    int[] both = {0, 1};
    float[] logProbs =
        trainer.policy().infer(batch.sequences(both), batch.targets(both), 1).logProbs();
    return logProbs[2] - logProbs[0];
  }
}
