package io.millrace.model.ppo;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.parallel.RankLostException;
import io.millrace.model.parallel.Ranks;
import io.millrace.model.parallel.StarRanks;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Backends;
import io.millrace.model.training.DivergedException;
import io.millrace.model.training.LearningRate;
import io.millrace.schemas.state.StateReader;
import io.millrace.schemas.state.StateWriter;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * PPO by several ranks: over sockets of this machine, each on a thread and a backend of its own.
 */
@Timeout(120)
class ParallelPpoTest {

  private static final long SEED = 23;
  private static final int MINI_BATCH = 8;
  private static final int BATCH = 3 * MINI_BATCH;
  private static final int UPDATES = 12;
  private static final Duration PATIENCE = Duration.ofSeconds(60);

  /** Odd where it may be. */
  private static final LlamaConfig CONFIG =
      LlamaConfig.builder()
          .vocabSize(103)
          .hiddenSize(20)
          .layers(2)
          .heads(2)
          .kvHeads(1)
          .headDim(10)
          .ffnSize(33)
          .maxPositions(64)
          .tiedHead(true)
          .bosToken(1)
          .eosToken(2)
          .build();

  /** Every third is of another policy, so that proximal log-probs are recomputed too. */
  private static List<PpoRollout> rollouts(int count, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    List<PpoRollout> rollouts = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      int[] prompt = random.ints(random.nextInt(1, 20), 3, 103).toArray();
      int[] response = random.ints(random.nextInt(1, 24), 3, 103).toArray();
      float[] logProbs = new float[response.length];
      Arrays.fill(logProbs, (float) -Math.log(103));
      float score = (float) random.nextGaussian();
      rollouts.add(
          new PpoRollout(
              "r" + i,
              prompt,
              response,
              logProbs,
              logProbs,
              score,
              1,
              i % 5 == 0,
              false,
              i % 3 == 0));
    }
    return rollouts;
  }

  private static PpoTrainer trainer(
      Backend backend, Ranks ranks, boolean sharded, boolean critic, double learningRate) {
    LanguageModel policy = LanguageModel.random(backend, CONFIG, SEED);
    return new PpoTrainer(
        backend,
        policy,
        critic ? ScalarModel.onTrunkOf(backend, CONFIG, policy.weights()) : null,
        PpoSettings.builder()
            .miniBatchSize(MINI_BATCH)
            .epochs(2)
            .advantages(
                Advantages.of(critic ? AdvantageMethod.GAE : AdvantageMethod.REINFORCE_PLUS_PLUS))
            .importanceWeight(new ImportanceWeight(ImportanceWeight.DEFAULT_LIMIT))
            .maxSkippedUpdates(2)
            .seed(SEED)
            .learningRate(LearningRate.constant(learningRate))
            .criticLearningRate(LearningRate.constant(learningRate))
            .build(),
        KlController.fixed(0.01),
        ranks,
        sharded);
  }

  private interface Rank<T> {
    T run(Ranks ranks) throws Exception;
  }

  /** Runs ranks side by side, the last one first. */
  private static <T> List<T> together(int size, Rank<T> rank) throws Exception {
    List<StarRanks> all = StarRanks.inThisProcess(size, PATIENCE);
    try (ExecutorService threads = Executors.newFixedThreadPool(size)) {
      List<Future<T>> running = new ArrayList<>();
      for (StarRanks each : all.reversed()) {
        running.addFirst(
            threads.submit(
                () -> {
                  // A rank that fails must not leave the others waiting.
                  try (each) {
                    return rank.run(each);
                  }
                }));
      }
      List<T> results = new ArrayList<>();
      for (Future<T> future : running) {
        results.add(future.get(PATIENCE.toSeconds(), TimeUnit.SECONDS));
      }
      return results;
    } finally {
      all.forEach(Ranks::close);
    }
  }

  /** What a rank has after some batches. */
  private record Result(
      float[] policy, float[] critic, Map<String, Double> metrics, byte[] state) {}

  private static Result learned(Ranks ranks, boolean sharded) throws IOException {
    try (Backend backend = Backends.openDefault();
        PpoTrainer trainer = trainer(backend, ranks, sharded, true, 1e-3)) {
      Map<String, Double> metrics = Map.of();
      for (int i = 0; i < UPDATES / 6; i++) {
        metrics = trainer.iterate(rollouts(BATCH, i)).metrics();
      }
      assertEquals(UPDATES, trainer.steps());
      byte[] state = {};
      if (ranks.rank() == 0) {
        state = StateWriter.toBytes(trainer::write);
      } else {
        trainer.sendMoments();
      }
      return new Result(
          trainer.policy().weights().flat().toFloats(),
          trainer.critic().weights().flat().toFloats(),
          metrics,
          state);
    }
  }

  private static void assertClose(float[] expected, float[] actual) {
    for (int i = 0; i < expected.length; i++) {
      assertEquals(expected[i], actual[i], 2e-5 * (1 + Math.abs(expected[i])), "weight " + i);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {2, 3, 4})
  void ranksEndWhereOneWithTheWholeBatchEndsAndAgreeBitForBit(int size) throws Exception {
    Result alone = learned(Ranks.alone(), false);
    List<Result> all = together(size, ranks -> learned(ranks, false));
    Result first = all.getFirst();
    assertClose(alone.policy(), first.policy());
    assertClose(alone.critic(), first.critic());
    assertEquals(alone.metrics().keySet(), first.metrics().keySet());
    alone
        .metrics()
        .forEach(
            (name, value) ->
                assertEquals(value, first.metrics().get(name), 1e-4 * (1 + Math.abs(value)), name));
    for (Result other : all) {
      assertArrayEquals(first.policy(), other.policy(), 0);
      assertArrayEquals(first.critic(), other.critic(), 0);
      assertEquals(first.metrics(), other.metrics());
    }
    // The same again, with moments of a part of the weights on each rank.
    List<Result> sharded = together(size, ranks -> learned(ranks, true));
    for (Result other : sharded) {
      assertArrayEquals(first.policy(), other.policy(), 0);
      assertArrayEquals(first.critic(), other.critic(), 0);
      assertEquals(first.metrics(), other.metrics());
    }
    assertArrayEquals(first.state(), sharded.getFirst().state());
  }

  /** Learns from one batch, and writes the state after some steps of the second. */
  private static byte[] interrupted(Ranks ranks, boolean sharded, int steps) throws IOException {
    try (Backend backend = Backends.openDefault();
        PpoTrainer trainer = trainer(backend, ranks, sharded, true, 1e-3)) {
      var _ = trainer.iterate(rollouts(BATCH, 0));
      trainer.begin(rollouts(BATCH, 1));
      for (int i = 0; i < steps; i++) {
        assertTrue(trainer.step().isEmpty());
      }
      if (ranks.rank() > 0) {
        trainer.sendMoments();
        return new byte[0];
      }
      return StateWriter.toBytes(trainer::write);
    }
  }

  private static Result resumed(Ranks ranks, boolean sharded, byte[] state) throws IOException {
    try (Backend backend = Backends.openDefault();
        PpoTrainer trainer = trainer(backend, ranks, sharded, true, 1e-3)) {
      trainer.read(StateReader.of(state));
      while (trainer.busy()) {
        var _ = trainer.step();
      }
      return new Result(
          trainer.policy().weights().flat().toFloats(),
          trainer.critic().weights().flat().toFloats(),
          Map.of(),
          state);
    }
  }

  @Test
  void aStateAmidABatchContinuesBitForBitShardedOrNot() throws Exception {
    Result straight = together(2, ranks -> learned(ranks, false)).getFirst();
    for (boolean before : new boolean[] {false, true}) {
      for (int steps : new int[] {1, 3, 5}) {
        byte[] state = together(2, ranks -> interrupted(ranks, before, steps)).getFirst();
        for (Result rank : together(2, ranks -> resumed(ranks, !before, state))) {
          assertArrayEquals(straight.policy(), rank.policy(), 0);
          assertArrayEquals(straight.critic(), rank.critic(), 0);
        }
      }
    }
  }

  @Test
  void aStateOfTwoRanksContinuesWithOneAndTheOtherWayRound() throws Exception {
    Result alone = learned(Ranks.alone(), false);
    byte[] ofTwo = together(2, ranks -> interrupted(ranks, true, 4)).getFirst();
    assertClose(alone.policy(), resumed(Ranks.alone(), false, ofTwo).policy());
    byte[] ofOne = interrupted(Ranks.alone(), false, 4);
    for (Result rank : together(3, ranks -> resumed(ranks, true, ofOne))) {
      assertClose(alone.policy(), rank.policy());
      assertClose(alone.critic(), rank.critic());
    }
  }

  /** Groups that lost responses make a batch smaller: the last mini-batch may have one rollout. */
  @Test
  void aMiniBatchWithFewerRolloutsThanRanksLeavesSomeWithoutAny() throws Exception {
    List<PpoRollout> few = rollouts(MINI_BATCH + 1, 5);
    Rank<float[]> rank =
        ranks -> {
          try (Backend backend = Backends.openDefault();
              PpoTrainer trainer = trainer(backend, ranks, false, false, 1e-3)) {
            var _ = trainer.iterate(few);
            assertEquals(4, trainer.steps());
            return trainer.policy().weights().flat().toFloats();
          }
        };
    float[] alone = rank.run(Ranks.alone());
    for (float[] weights : together(3, rank)) {
      assertClose(alone, weights);
    }
  }

  /** The loss of one rank's share is not a number; all skip the update. */
  @Test
  void allRanksSkipAnUpdateThatIsNotFiniteOnOne() throws Exception {
    Rank<String> rank =
        ranks -> {
          try (Backend backend = Backends.openDefault();
              PpoTrainer trainer = trainer(backend, ranks, true, true, 1e-3)) {
            trainer.begin(rollouts(MINI_BATCH, 8));
            assertTrue(trainer.step().isEmpty());
            if (ranks.rank() == 1) {
              trainer.policy().weights().flat().write(0, new float[] {Float.NaN}, 0, 1);
            }
            assertTrue(trainer.step().isEmpty());
            assertEquals(0, trainer.steps());
            return assertThrows(DivergedException.class, trainer::step).getMessage();
          }
        };
    List<String> messages = together(2, rank);
    assertEquals(messages.getFirst(), messages.getLast());
    assertTrue(messages.getFirst().startsWith("2 updates in a row"), messages.getFirst());
  }

  @Test
  void aRankThatEndsFailsTheOthersAtOnce() throws Exception {
    CountDownLatch updating = new CountDownLatch(2);
    Rank<String> rank =
        ranks -> {
          try (Backend backend = Backends.openDefault();
              PpoTrainer trainer = trainer(backend, ranks, false, true, 1e-3)) {
            trainer.begin(rollouts(BATCH, 1));
            for (int i = 0; i < 4; i++) {
              var _ = trainer.step();
            }
            if (ranks.rank() == 2) {
              assertTrue(updating.await(PATIENCE.toSeconds(), TimeUnit.SECONDS));
              return "its process ended";
            }
            updating.countDown();
            var gone = assertThrows(UncheckedIOException.class, trainer::step);
            assertInstanceOf(RankLostException.class, gone.getCause());
            return gone.getCause().getMessage();
          }
        };
    List<String> messages = together(3, rank);
    assertTrue(messages.getFirst().startsWith("rank 2 at 127.0.0.1:"), messages.getFirst());
    assertTrue(messages.getFirst().contains("closed the connection"), messages.getFirst());
    assertTrue(messages.get(1).startsWith("rank 0 at 127.0.0.1:"), messages.get(1));
  }

  @Test
  void ranksWithOtherWeightsAreFoundAfterTheIteration() throws Exception {
    Rank<Void> rank =
        ranks -> {
          try (Backend backend = Backends.openDefault();
              PpoTrainer trainer = trainer(backend, ranks, false, true, 1e-3)) {
            if (ranks.rank() == 1) {
              trainer.policy().weights().flat().write(7, new float[] {0.5f}, 0, 1);
            }
            var _ = trainer.iterate(rollouts(BATCH, 1));
            return null;
          }
        };
    var failed = assertThrows(ExecutionException.class, () -> together(2, rank));
    String message = failed.getCause().getMessage();
    assertTrue(message.contains("the policy's weights after iteration 1"), message);
    assertTrue(message.contains("rank 1 at 127.0.0.1:"), message);
  }
}
