package io.millrace.model.ppo;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.model.llama.ActivationMemory;
import io.millrace.model.llama.AdapterConfig;
import io.millrace.model.llama.FrozenWeights;
import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.llama.MemoryPlan;
import io.millrace.model.llama.Parameters;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.llama.Weights;
import io.millrace.model.parallel.Ranks;
import io.millrace.model.parallel.StarRanks;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Backends;
import io.millrace.model.tensor.Precision;
import io.millrace.model.training.LearningRate;
import io.millrace.schemas.state.CopyBudget;
import io.millrace.schemas.state.StateSnapshot;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The plan of an update against the memory that one takes. */
class MemoryPlanTest {

  private static final int BATCH = 4;
  private static final int LENGTH = 128;
  private static final int RESPONSE = 64;

  private static final LlamaConfig CONFIG =
      LlamaConfig.builder()
          .vocabSize(4096)
          .hiddenSize(256)
          .layers(6)
          .heads(8)
          .kvHeads(4)
          .headDim(32)
          .ffnSize(688)
          .maxPositions(256)
          .tiedHead(true)
          .bosToken(1)
          .eosToken(2)
          .build();

  @ParameterizedTest
  @CsvSource({
    "0,false,true",
    "0,true,true",
    "8,false,true",
    "8,true,true",
    "0,false,false",
    "8,true,false"
  })
  void anUpdateTakesWhatThePlanSays(int rank, boolean recompute, boolean critic) {
    Optional<AdapterConfig> adapter =
        rank == 0
            ? Optional.empty()
            : Optional.of(new AdapterConfig(rank, rank, AdapterConfig.PROJECTIONS));
    int tokens = BATCH * (LENGTH - 1);
    long planned =
        MemoryPlan.of(
                CONFIG,
                new MemoryPlan.Settings(
                    adapter,
                    Precision.FLOAT32,
                    tokens,
                    BATCH * RESPONSE,
                    recompute,
                    0,
                    0,
                    critic,
                    1))
            .total("update");
    try (Backend backend = Backends.openDefault()) {
      // The backend's own scratch memory is not in the plan: it is allocated before.
      try (PpoTrainer first = trainer(backend, adapter, recompute, critic)) {
        first.iterate(rollouts());
      }
      long before = backend.bytes();
      try (PpoTrainer trainer = trainer(backend, adapter, recompute, critic)) {
        trainer.iterate(rollouts());
        double taken = backend.bytes() - before;
        assertEquals(1, taken / planned, 0.1, "taken %s, planned %d".formatted(taken, planned));
      }
      assertEquals(before, backend.bytes(), "all of it is freed");
    }
    assertTrue(planned > 0);
  }

  @ParameterizedTest
  @CsvSource({"0,true", "0.2,true", "0.5,true", "1,true", "0,false", "0.5,false", "1,false"})
  void copiesTakeWhatThePlanSays(double share, boolean critic) throws IOException {
    try (Backend backend = Backends.openDefault();
        PpoTrainer trainer = trainer(backend, Optional.empty(), false, critic)) {
      long state =
          3L
              * Float.BYTES
              * (trainer.policy().weights().flat().size()
                  + (critic ? trainer.critic().weights().flat().size() : 0));
      long budget = (long) (share * state);
      long planned =
          MemoryPlan.of(
                  CONFIG,
                  new MemoryPlan.Settings(
                      Optional.empty(),
                      Precision.FLOAT32,
                      BATCH,
                      BATCH,
                      false,
                      0,
                      budget,
                      critic,
                      1))
              .total("write");
      long before = backend.bytes();
      try (CopyBudget copies = new CopyBudget(budget);
          StateSnapshot _ =
              StateSnapshot.take(
                  new DataOutputStream(OutputStream.nullOutputStream()), trainer::write, copies)) {
        assertEquals(planned, backend.bytes() - before);
      }
      assertEquals(before, backend.bytes());
      assertEquals(share == 0, planned == 0);
      assertEquals(share == 1, planned == state);
    }
  }

  @ParameterizedTest
  @CsvSource({"2,true", "3,false"})
  void momentsThatUpdatersShareTakeWhatThePlanSays(int updaters, boolean critic) {
    long planned = updates(critic, 1) - updates(critic, updaters);
    try (Backend backend = Backends.openDefault();
        StarRanks ranks = new StarRanks(1, updaters)) {
      long alone;
      long before = backend.bytes();
      try (PpoTrainer _ = trainer(backend, Optional.empty(), false, critic)) {
        alone = backend.bytes() - before;
      }
      try (PpoTrainer _ = trainer(backend, Optional.empty(), false, critic, ranks)) {
        double saved = alone - (backend.bytes() - before);
        assertEquals(1, saved / planned, 1e-3, "saved %s, planned %d".formatted(saved, planned));
      }
    }
  }

  private static long updates(boolean critic, int momentRanks) {
    return MemoryPlan.of(
            CONFIG,
            new MemoryPlan.Settings(
                Optional.empty(),
                Precision.FLOAT32,
                BATCH,
                BATCH,
                false,
                0,
                0,
                critic,
                momentRanks))
        .total("update");
  }

  private static PpoTrainer trainer(
      Backend backend, Optional<AdapterConfig> adapter, boolean recompute, boolean withCritic) {
    return trainer(backend, adapter, recompute, withCritic, Ranks.alone());
  }

  private static PpoTrainer trainer(
      Backend backend,
      Optional<AdapterConfig> adapter,
      boolean recompute,
      boolean withCritic,
      Ranks ranks) {
    LanguageModel policy;
    ScalarModel critic;
    if (adapter.isEmpty()) {
      policy = LanguageModel.random(backend, CONFIG, 1);
      critic = ScalarModel.onTrunkOf(backend, CONFIG, policy.weights());
    } else {
      AdapterConfig one = adapter.get();
      FrozenWeights base;
      try (Parameters random = Parameters.random(backend, CONFIG.parameters(), 1)) {
        base =
            FrozenWeights.of(
                backend,
                CONFIG.parameters(),
                (spec, tensor) -> backend.copy(tensor, random.get(spec.name())));
      }
      policy =
          new LanguageModel(
              backend,
              CONFIG,
              Weights.adapter(base, one, Weights.initial(backend, one.parameters(CONFIG), 2)));
      critic =
          new ScalarModel(
              backend,
              CONFIG,
              Weights.adapter(
                  base.share(), one, Weights.initial(backend, one.scalarParameters(CONFIG), 3)));
    }
    ActivationMemory memory = new ActivationMemory(BATCH * LENGTH, recompute);
    policy.useMemory(memory);
    if (withCritic) {
      critic.useMemory(memory);
    } else {
      critic.close();
    }
    return new PpoTrainer(
        backend,
        policy,
        withCritic ? critic : null,
        PpoSettings.builder()
            .miniBatchSize(BATCH)
            .maxSkippedUpdates(1)
            .seed(1)
            .advantages(
                Advantages.of(
                    withCritic ? AdvantageMethod.GAE : AdvantageMethod.REINFORCE_PLUS_PLUS))
            .learningRate(LearningRate.constant(1e-6))
            .criticLearningRate(LearningRate.constant(1e-6))
            .build(),
        KlController.fixed(KlController.DEFAULT_BETA),
        ranks,
        true);
  }

  private static List<PpoRollout> rollouts() {
    SplittableRandom random = new SplittableRandom(1);
    List<PpoRollout> rollouts = new ArrayList<>();
    for (int i = 0; i < BATCH; i++) {
      float[] logProbs = new float[RESPONSE];
      rollouts.add(
          new PpoRollout(
              "r" + i,
              random.ints(LENGTH - RESPONSE, 0, CONFIG.vocabSize()).toArray(),
              random.ints(RESPONSE, 0, CONFIG.vocabSize()).toArray(),
              logProbs,
              logProbs,
              i,
              -i,
              false,
              false,
              false));
    }
    return rollouts;
  }
}
