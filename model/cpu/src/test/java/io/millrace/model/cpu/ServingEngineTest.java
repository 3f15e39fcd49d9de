package io.millrace.model.cpu;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.model.contract.WatchedPolicy;
import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.LanguageModel.Ranked;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.sampling.EngineSettings;
import io.millrace.model.sampling.SampledResponse;
import io.millrace.model.sampling.SampledToken;
import io.millrace.model.sampling.SamplingEngine;
import io.millrace.model.sampling.SamplingOptions;
import io.millrace.model.sampling.SamplingRequest;
import io.millrace.model.tensor.Backend;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What a server needs of the sampling engine: prefix cache, one policy a request, cancellation. */
class ServingEngineTest {

  private static final LlamaConfig CONFIG =
      LlamaConfig.builder()
          .vocabSize(37)
          .hiddenSize(24)
          .layers(2)
          .heads(4)
          .kvHeads(2)
          .headDim(6)
          .ffnSize(20)
          .maxPositions(128)
          .bosToken(1)
          .eosToken(2)
          .build();

  private Backend backend;
  private LanguageModel model;

  @BeforeEach
  void open() {
    backend = new CpuBackend();
    model = LanguageModel.random(backend, CONFIG, 7);
  }

  @AfterEach
  void close() {
    model.close();
    backend.close();
  }

  private static EngineSettings serving(int running, int pages) {
    return new EngineSettings(running, 64, running + 8, pages, 4, true, true);
  }

  private static SamplingRequest request(int[] prompt, long seed, int tokens) {
    return SamplingRequest.single(prompt, seed, new SamplingOptions(tokens, 1, 1));
  }

  private SampledResponse alone(SamplingRequest request) {
    try (SamplingEngine engine = new SamplingEngine(model, EngineSettings.of(1, 128))) {
      return engine.sampleAll(List.of(request)).getFirst();
    }
  }

  private static void assertSame(SampledResponse expected, SampledResponse actual) {
    assertArrayEquals(expected.tokens(), actual.tokens());
    assertArrayEquals(expected.logProbs(), actual.logProbs());
  }

  private static int[] join(int[] a, int[] b) {
    return IntStream.concat(IntStream.of(a), IntStream.of(b)).toArray();
  }

  @Test
  void theNextTurnOfADialogueReusesTheTurnsBefore() {
    Random random = new Random(1);
    try (SamplingEngine engine = new SamplingEngine(model, serving(2, 64))) {
      int[] dialogue = random.ints(9, 3, 37).toArray();
      long reused = 0;
      for (int turn = 0; turn < 5; turn++) {
        SamplingRequest request = request(dialogue, turn, 10);
        SampledResponse response = engine.sampleAll(List.of(request)).getFirst();
        assertSame(alone(request), response);
        assertTrue(turn == 0 || engine.reusedTokens() >= reused + 4, "turn " + turn);
        reused = engine.reusedTokens();
        dialogue = join(join(dialogue, response.tokens()), random.ints(3, 3, 37).toArray());
      }
      // Turn k reuses all whole pages of the tokens that were computed before.
      assertEquals(16 + 28 + 44 + 56, reused);
    }
  }

  @Test
  void cachedPrefixesGiveWayWhenPagesAreNeeded() {
    Random random = new Random(2);
    int[] common = random.ints(13, 3, 37).toArray();
    List<SamplingRequest> requests = new ArrayList<>();
    for (int i = 0; i < 60; i++) {
      int[] own = random.ints(1 + random.nextInt(9), 3, 37).toArray();
      requests.add(request(i % 3 == 0 ? own : join(common, own), i, 1 + random.nextInt(12)));
    }
    try (SamplingEngine engine = new SamplingEngine(model, serving(4, 14))) {
      List<SampledResponse> responses = engine.sampleAll(requests);
      for (int i = 0; i < requests.size(); i++) {
        assertSame(alone(requests.get(i)), responses.get(i));
      }
      assertTrue(engine.reusedTokens() > 0);
    }
  }

  @Test
  void allResponsesOfARequestAreOfOnePolicy() {
    try (LanguageModel other = LanguageModel.random(backend, CONFIG, 8)) {
      WatchedPolicy first = new WatchedPolicy(model, 1);
      WatchedPolicy second = new WatchedPolicy(other, 2);
      int[] prompt = {3, 4, 5, 6, 7, 8};
      SamplingOptions options = new SamplingOptions(9, 1, 1);
      SamplingRequest begun = new SamplingRequest(prompt, new long[] {1, 2, 3, 4}, options);
      SamplingRequest later = new SamplingRequest(prompt, new long[] {1, 2, 3}, options);
      try (SamplingEngine engine = new SamplingEngine(first, serving(1, 40))) {
        SamplingRequest too = new SamplingRequest(prompt, new long[] {5, 6}, options);
        engine.offer(List.of(begun, too), 0);
        engine.offer(later);
        engine.step();
        engine.use(second);
        int finished = 0;
        while (!engine.isIdle()) {
          for (SampledResponse response : engine.step()) {
            assertEquals(response.request().equals(later) ? 2 : 1, response.policyVersion());
            finished++;
          }
        }
        assertEquals(9, finished);
        assertTrue(first.isClosed());
        assertFalse(second.isClosed());
      }
    }
  }

  @Test
  void cancelledResponsesFreeTheirPlaceAndTheirPolicy() {
    try (LanguageModel other = LanguageModel.random(backend, CONFIG, 8)) {
      WatchedPolicy first = new WatchedPolicy(model, 1);
      int[] prompt = {3, 4, 5, 6, 7, 8};
      SamplingOptions options = new SamplingOptions(20, 1, 1);
      SamplingRequest cancelled = new SamplingRequest(prompt, new long[] {1, 2, 3, 4}, options);
      SamplingRequest kept = new SamplingRequest(prompt, new long[] {5}, options);
      try (SamplingEngine engine = new SamplingEngine(first, serving(1, 40))) {
        engine.offer(cancelled);
        engine.offer(kept);
        engine.step();
        engine.use(new WatchedPolicy(other, 2));
        for (int i = 0; i < 4; i++) {
          assertFalse(first.isClosed());
          assertTrue(engine.cancel(cancelled, i));
          assertFalse(engine.cancel(cancelled, i));
        }
        assertTrue(first.isClosed());
        List<SampledResponse> rest = new ArrayList<>();
        while (!engine.isIdle()) {
          rest.addAll(engine.step());
        }
        assertEquals(List.of(kept), rest.stream().map(SampledResponse::request).toList());
      }
    }
  }

  @Test
  void theMostProbableTokensComeWithEachToken() {
    SamplingRequest request = request(new int[] {3, 4, 5}, 1, 12);
    List<SampledToken> heard = new ArrayList<>();
    try (SamplingEngine engine = new SamplingEngine(model, serving(2, 40))) {
      engine.listen((_, _, token) -> heard.add(token));
      assertTrue(engine.offer(List.of(request), 37));
      while (!engine.isIdle()) {
        engine.step();
      }
    }
    assertEquals(12, heard.size());
    for (SampledToken token : heard) {
      Ranked ranked = token.ranked();
      double sum = 0;
      Set<Integer> tokens = new HashSet<>();
      for (int i = 0; i < 37; i++) {
        assertTrue(i == 0 || ranked.logProbs()[i] <= ranked.logProbs()[i - 1]);
        sum += Math.exp(ranked.logProbs()[i]);
        tokens.add(ranked.tokens()[i]);
        if (ranked.tokens()[i] == token.id()) {
          assertEquals(token.logProb(), ranked.logProbs()[i], 1e-4);
        }
      }
      assertEquals(1, sum, 1e-4);
      assertEquals(37, tokens.size(), Arrays.toString(ranked.tokens()));
    }
  }
}
