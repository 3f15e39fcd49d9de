package io.millrace.model.cpu;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.model.cpu.tiles.Tiles;
import io.millrace.model.cpu.tiles.VectorTiles;
import io.millrace.model.llama.AdapterConfig;
import io.millrace.model.llama.FrozenWeights;
import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.llama.Parameters;
import io.millrace.model.llama.Targets;
import io.millrace.model.llama.Weights;
import io.millrace.model.sampling.EngineSettings;
import io.millrace.model.sampling.SampledResponse;
import io.millrace.model.sampling.SamplingEngine;
import io.millrace.model.sampling.SamplingOptions;
import io.millrace.model.sampling.SamplingRequest;
import io.millrace.model.tensor.CachedSequences;
import io.millrace.model.tensor.Draws;
import io.millrace.model.tensor.KvCache;
import io.millrace.model.tensor.Sequences;
import io.millrace.model.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.Function;
import java.util.function.Supplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Sampling with heads that do not fill a vector, by models whose batches are divided into parts.
 */
class SmallHeadsTest {

  private static final int SEQUENCES = 16;
  private static final int RESPONSE = 40;
  private static final List<Supplier<Tiles>> TILES =
      List.of(Tiles::ofThisMachine, VectorTiles::new);

  private static LanguageModel model(CpuBackend backend, int headDim) {
    LlamaConfig config =
        LlamaConfig.builder()
            .vocabSize(61)
            .hiddenSize(4 * headDim)
            .layers(2)
            .heads(4)
            .kvHeads(2)
            .headDim(headDim)
            .ffnSize(172)
            .maxPositions(64)
            .bosToken(1)
            .eosToken(2)
            .build();
    LanguageModel model = LanguageModel.random(backend, config, 7);
    float[] values = model.weights().decayed().toFloats();
    for (int i = 0; i < values.length; i++) {
      values[i] *= 8;
    }
    model.weights().decayed().write(values);
    return model;
  }

  /** A model with an adapter, whose rank is below the vector width. */
  private static LanguageModel adapted(CpuBackend backend, int headDim, int rank) {
    try (LanguageModel base = model(backend, headDim)) {
      Parameters weights = base.weights();
      FrozenWeights frozen =
          FrozenWeights.of(
              backend,
              weights.specs(),
              (spec, tensor) -> tensor.write(weights.get(spec.name()).toFloats()));
      AdapterConfig adapter = new AdapterConfig(rank, rank, AdapterConfig.PROJECTIONS);
      Parameters trained = Parameters.random(backend, adapter.parameters(base.config()), 9);
      return new LanguageModel(backend, base.config(), Weights.adapter(frozen, adapter, trained));
    }
  }

  /** Prompts of one token up to a whole page of the cache and more. */
  private static List<SamplingRequest> requests() {
    Random random = new Random(5);
    List<SamplingRequest> requests = new ArrayList<>();
    for (int i = 0; i < SEQUENCES; i++) {
      int[] prompt = random.ints(1 + i * 3 / 2, 0, 61).toArray();
      SamplingOptions options = new SamplingOptions(RESPONSE - i % 5, 0.9f, 1);
      requests.add(SamplingRequest.single(prompt, random.nextLong(), options));
    }
    return requests;
  }

  private static List<SampledResponse> sample(LanguageModel model, int maxRunning) {
    try (SamplingEngine engine = new SamplingEngine(model, EngineSettings.of(maxRunning, 64))) {
      return engine.sampleAll(requests());
    }
  }

  /** The log-probabilities must be those of a full forward pass. */
  private static void assertFullForwardPass(LanguageModel model, List<SampledResponse> responses) {
    for (SampledResponse response : responses) {
      int[] prompt = response.request().prompt();
      int[] whole = Arrays.copyOf(prompt, prompt.length + response.tokens().length);
      System.arraycopy(response.tokens(), 0, whole, prompt.length, response.tokens().length);
      Targets targets = Targets.from(List.of(whole), new int[] {prompt.length});
      float[] expected = model.infer(List.of(whole), targets, 0.9f).logProbs();
      assertArrayEquals(expected, response.logProbs(), 1e-4f);
    }
  }

  /** A batch must give the same bits as its sequences one by one, with any number of threads. */
  private static void assertIndependent(Function<CpuBackend, LanguageModel> opened) {
    for (Supplier<Tiles> tiles : TILES) {
      List<SampledResponse> alone = null;
      for (int threads = 1; threads <= 3; threads++) {
        try (CpuBackend backend = new CpuBackend(new WorkPool(threads), tiles.get());
            LanguageModel model = opened.apply(backend)) {
          alone = alone == null ? sample(model, 1) : alone;
          List<SampledResponse> together = sample(model, SEQUENCES);
          for (int i = 0; i < SEQUENCES; i++) {
            assertArrayEquals(alone.get(i).tokens(), together.get(i).tokens());
            assertArrayEquals(alone.get(i).logProbs(), together.get(i).logProbs());
          }
          assertFullForwardPass(model, together);
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {4, 6, 8, 12, 20})
  void responsesAreThoseOfAFullForwardPassWhateverTheBatchAndTheThreads(int headDim) {
    assertIndependent(backend -> model(backend, headDim));
  }

  @ParameterizedTest
  @ValueSource(ints = {3, 8})
  void soAreThoseOfAModelWithAnAdapter(int rank) {
    assertIndependent(backend -> adapted(backend, 8, rank));
  }

  @Test
  void onlySmallModelsAndBatchesWithEnoughWorkAreDivided() {
    try (CpuBackend backend = new CpuBackend(new WorkPool(3))) {
      assertEquals(3, backend.parts(SEQUENCES, 200_000));
      assertEquals(2, backend.parts(2, 200_000));
      assertEquals(1, backend.parts(1, 200_000));
      assertEquals(1, backend.parts(SEQUENCES, 4_000));
      assertEquals(1, backend.parts(SEQUENCES, 4_000_000));
    }
    try (CpuBackend backend = new CpuBackend(new WorkPool(1))) {
      assertEquals(1, backend.parts(SEQUENCES, 200_000));
    }
  }

  @Test
  void aPageThatTwoPartsWriteIsRefused() {
    try (CpuBackend backend = new CpuBackend(new WorkPool(2));
        LanguageModel model = model(backend, 8);
        KvCache cache = model.kvCache(SEQUENCES, 16)) {
      int[] lengths = new int[SEQUENCES];
      Arrays.fill(lengths, 1);
      int[][] pages = new int[SEQUENCES][1];
      Arrays.setAll(pages, i -> new int[] {i % (SEQUENCES - 1)});
      CachedSequences sequences =
          new CachedSequences(Sequences.ofLengths(lengths), new int[SEQUENCES], pages);
      Draws none = new Draws(new float[0], new float[0], new double[0]);
      String message =
          assertThrows(
                  IllegalArgumentException.class,
                  () -> model.decode(new int[SEQUENCES], sequences, cache, new int[0], none))
              .getMessage();
      assertTrue(message.contains("sequences 0 and 15 share page 0"), message);
    }
  }

  /** Tiles read what a page held before and what the next page holds. */
  @ParameterizedTest
  @ValueSource(ints = {3, 5, 16})
  void whatPagesHeldBeforeIsForgotten(int pageTokens) {
    int width = 8;
    int tokens = 2 * pageTokens - 1;
    CachedSequences sequences =
        new CachedSequences(Sequences.ofLengths(tokens), new int[1], new int[][] {{1, 0}});
    for (Supplier<Tiles> tiles : TILES) {
      try (CpuBackend backend = new CpuBackend(new WorkPool(1), tiles.get());
          KvCache clean = backend.kvCache(1, 2, pageTokens, 2, width);
          KvCache used = backend.kvCache(1, 2, pageTokens, 2, width);
          Tensor q = backend.allocate(tokens, 4 * width);
          Tensor kv = backend.allocate(2 * pageTokens, 2 * width);
          Tensor expected = backend.allocate(tokens, 4 * width);
          Tensor actual = backend.allocate(tokens, 4 * width);
          Tensor ofPages = backend.allocate(2 * pageTokens, 4 * width)) {
        float[] nan = new float[(int) kv.size()];
        Arrays.fill(nan, Float.NaN);
        kv.write(nan);
        CachedSequences all =
            new CachedSequences(
                Sequences.ofLengths(2 * pageTokens), new int[1], new int[][] {{0, 1}});
        backend.cachedAttention(ofPages, ofPages, kv, kv, used, 0, all, 4);
        Random random = new Random(3);
        for (Tensor tensor : List.of(q, kv)) {
          float[] values = new float[(int) tensor.size()];
          for (int i = 0; i < values.length; i++) {
            values[i] = random.nextFloat() - 0.5f;
          }
          tensor.write(values);
        }
        Tensor some = kv.firstRows(tokens);
        backend.cachedAttention(expected, q, some, some, clean, 0, sequences, 4);
        backend.cachedAttention(actual, q, some, some, used, 0, sequences, 4);
        assertArrayEquals(expected.toFloats(), actual.toFloats());
        assertTrue(Float.isFinite(actual.toFloats()[0]));
      }
    }
  }
}
