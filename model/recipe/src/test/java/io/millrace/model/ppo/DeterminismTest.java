package io.millrace.model.ppo;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Backends;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.bytedeco.javacpp.Pointer;
import org.junit.jupiter.api.Test;

/** What holds over many updates on the default backend: the same bits, and no growth. */
class DeterminismTest {

  private static final long SEED = 17;
  private static final int MINI_BATCH = 8;

  /** Odd where it may be, and large enough that every kernel is split over threads. */
  private static final LlamaConfig CONFIG =
      LlamaConfig.builder()
          .vocabSize(1003)
          .hiddenSize(60)
          .layers(2)
          .heads(6)
          .kvHeads(3)
          .headDim(10)
          .ffnSize(130)
          .maxPositions(64)
          .tiedHead(true)
          .bosToken(1)
          .eosToken(2)
          .build();

  private static List<PpoRollout> rollouts(int count, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    List<PpoRollout> rollouts = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      int[] prompt = random.ints(random.nextInt(1, 30), 3, 1003).toArray();
      int[] response = random.ints(random.nextInt(1, 34), 3, 1003).toArray();
      float[] logProbs = new float[response.length];
      Arrays.fill(logProbs, (float) -Math.log(1003));
      float score = (float) random.nextGaussian();
      rollouts.add(
          new PpoRollout(
              "r" + i, prompt, response, logProbs, logProbs, score, 1, false, false, false));
    }
    return rollouts;
  }

  private static PpoTrainer trainer(Backend backend) {
    LanguageModel policy = LanguageModel.random(backend, CONFIG, SEED);
    ScalarModel critic = ScalarModel.onTrunkOf(backend, CONFIG, policy.weights());
    return PpoTrainers.trainer(backend, policy, critic, MINI_BATCH, SEED);
  }

  private static float[][] afterUpdates(int updates) {
    try (Backend backend = Backends.openDefault();
        PpoTrainer trainer = trainer(backend)) {
      for (int i = 0; i < updates; i += 2) {
        trainer.iterate(rollouts(2 * MINI_BATCH, i));
      }
      assertEquals(updates, trainer.steps());
      return new float[][] {
        trainer.policy().weights().flat().toFloats(), trainer.critic().weights().flat().toFloats()
      };
    }
  }

  @Test
  void fiftyUpdatesGiveTheSameBitsTwice() {
    float[][] once = afterUpdates(50);
    float[][] twice = afterUpdates(50);
    for (int model = 0; model < 2; model++) {
      assertArrayEquals(once[model], twice[model], 0);
      for (float weight : once[model]) {
        assertTrue(Float.isFinite(weight));
      }
    }
    assertTrue(!Arrays.equals(once[0], afterUpdates(2)[0]), "nothing was learned");
  }

  /** 200 updates: one activation [tokens, ffn] that was not reused would be over 25 MB. */
  @Test
  void updatesReuseTheirMemory() {
    try (Backend backend = Backends.openDefault();
        PpoTrainer trainer = trainer(backend)) {
      List<PpoRollout> rollouts = rollouts(MINI_BATCH, SEED);
      for (int i = 0; i < 50; i++) {
        trainer.iterate(rollouts);
      }
      long allocated = Pointer.totalBytes();
      long resident = Pointer.physicalBytes();
      for (int i = 0; i < 200; i++) {
        trainer.iterate(rollouts);
      }
      assertEquals(allocated, Pointer.totalBytes());
      long grown = Pointer.physicalBytes() - resident;
      assertTrue(grown < 32 << 20, grown + " bytes resident more");
    }
  }
}
