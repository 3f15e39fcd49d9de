package io.millrace.model.contract;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.llama.Targets;
import io.millrace.model.sampling.EngineSettings;
import io.millrace.model.sampling.SampledResponse;
import io.millrace.model.sampling.SamplingEngine;
import io.millrace.model.sampling.SamplingOptions;
import io.millrace.model.sampling.SamplingRequest;
import io.millrace.model.tensor.Backend;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The tests that {@code SamplingEngine} must pass on every backend. */
public abstract class SamplingEngineContract {

  private static final long SEED = 7;
  private static final int STOP = 2;
  private static final LlamaConfig CONFIG =
      LlamaConfig.builder()
          .vocabSize(37)
          .hiddenSize(24)
          .layers(2)
          .heads(4)
          .kvHeads(2)
          .headDim(6)
          .ffnSize(20)
          .maxPositions(64)
          .bosToken(1)
          .eosToken(STOP)
          .build();

  private Backend backend;
  private LanguageModel model;

  /** A new backend. Each test opens one and closes it. */
  protected abstract Backend newBackend();

  /**
   * How much a log-probability may change with the other responses of a batch; 0 for none at all.
   */
  protected abstract float tolerance();

  /** How far log-probabilities of sampling may be from those of a full forward pass. */
  protected float forwardTolerance() {
    return 1e-4f;
  }

  /**
   * Whether a response has the same tokens with other responses in the batch. If not, rounding may
   * make them part at some token; up to there they are compared.
   */
  protected boolean sameTokens() {
    return true;
  }

  @BeforeEach
  void open() {
    backend = newBackend();
    model = model(SEED);
  }

  @AfterEach
  void close() {
    model.close();
    backend.close();
  }

  /** A model whose weights are enlarged, so that every path through it matters. */
  private LanguageModel model(long seed) {
    LanguageModel random = LanguageModel.random(backend, CONFIG, seed);
    float[] values = random.weights().decayed().toFloats();
    for (int i = 0; i < values.length; i++) {
      values[i] *= 10;
    }
    random.weights().decayed().write(values);
    return random;
  }

  /**
   * Requests with prompts of 1 to 17 tokens and one to five responses, with different lengths and
   * options. In every fourth request each response has its own temperature.
   */
  private static List<SamplingRequest> requests(int count) {
    Random random = new Random(SEED);
    List<SamplingRequest> requests = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      int[] prompt = random.ints(1 + random.nextInt(17), 3, 37).toArray();
      long[] seeds = random.longs(1 + random.nextInt(5)).toArray();
      SamplingOptions options =
          switch (i % 3) {
            case 0 -> new SamplingOptions(1 + random.nextInt(40), 1, 1, STOP);
            case 1 -> new SamplingOptions(1 + random.nextInt(40), 0.7f, 0.8f, STOP, 5);
            default -> new SamplingOptions(1 + random.nextInt(40), 0, 1);
          };
      float[] temperatures = new float[i % 4 == 3 ? seeds.length : 0];
      for (int k = 0; k < temperatures.length; k++) {
        temperatures[k] = 0.5f * k;
      }
      requests.add(new SamplingRequest(prompt, seeds, options, temperatures));
    }
    return requests;
  }

  private List<SampledResponse> sample(EngineSettings settings, List<SamplingRequest> requests) {
    try (SamplingEngine engine = new SamplingEngine(model, settings)) {
      List<SampledResponse> responses = engine.sampleAll(requests);
      assertTrue(engine.isIdle());
      return responses;
    }
  }

  private void assertSame(List<SampledResponse> expected, List<SampledResponse> actual) {
    assertEquals(expected.size(), actual.size());
    int same = 0;
    for (int i = 0; i < expected.size(); i++) {
      assertSame("response " + i, expected.get(i), actual.get(i));
      same += Arrays.equals(expected.get(i).tokens(), actual.get(i).tokens()) ? 1 : 0;
    }
    assertTrue(2 * same > expected.size(), same + " of " + expected.size() + " are the same");
  }

  private void assertSame(String what, SampledResponse expected, SampledResponse actual) {
    assertEquals(expected.sample(), actual.sample(), what);
    int parting = Arrays.mismatch(expected.tokens(), actual.tokens());
    if (!sameTokens() && parting >= 0) {
      assertArrayEquals(
          Arrays.copyOf(expected.logProbs(), parting),
          Arrays.copyOf(actual.logProbs(), parting),
          tolerance(),
          what);
      return;
    }
    assertArrayEquals(expected.tokens(), actual.tokens(), what);
    assertArrayEquals(expected.logProbs(), actual.logProbs(), tolerance(), what);
    assertEquals(expected.stopped(), actual.stopped(), what);
  }

  private static int responses(List<SamplingRequest> requests) {
    return requests.stream().mapToInt(SamplingRequest::samples).sum();
  }

  @Test
  void logProbsMatchAFullForwardPass() {
    List<SamplingRequest> requests = new ArrayList<>();
    for (SamplingRequest request : requests(8)) {
      SamplingOptions options = new SamplingOptions(20, 0.8f, 1, STOP);
      requests.add(new SamplingRequest(request.prompt(), request.seeds(), options));
    }
    List<int[]> sequences = new ArrayList<>();
    List<SampledResponse> responses = sample(EngineSettings.of(16, 37), requests);
    int[] from = new int[responses.size()];
    float[] sampled = {};
    for (SampledResponse response : responses) {
      int[] prompt = response.request().prompt();
      int[] whole = Arrays.copyOf(prompt, prompt.length + response.tokens().length);
      System.arraycopy(response.tokens(), 0, whole, prompt.length, response.tokens().length);
      from[sequences.size()] = prompt.length;
      sequences.add(whole);
      int end = sampled.length;
      sampled = Arrays.copyOf(sampled, end + response.logProbs().length);
      System.arraycopy(response.logProbs(), 0, sampled, end, response.logProbs().length);
    }
    float[] full = model.infer(sequences, Targets.from(sequences, from), 0.8f).logProbs();
    assertArrayEquals(full, sampled, forwardTolerance());
  }

  /** Settings from ample memory to so few pages that responses lose them again and again. */
  @ParameterizedTest
  @CsvSource({"64,64,200,400,16", "1,5,1,15,4", "3,9,4,15,4", "8,8,9,20,3", "20,20,21,57,1"})
  void aResponseDependsOnItsRequestOnly(
      int maxRunning, int maxWaiting, int stepTokens, int pages, int pageTokens) {
    EngineSettings settings =
        new EngineSettings(maxRunning, maxWaiting, stepTokens, pages, pageTokens);
    List<SamplingRequest> requests = requests(14);
    List<SampledResponse> alone = new ArrayList<>();
    for (SamplingRequest request : requests) {
      for (int i = 0; i < request.samples(); i++) {
        SamplingOptions options =
            new SamplingOptions(
                request.options().maxTokens(),
                request.temperature(i),
                request.options().topP(),
                request.options().stopTokens());
        SamplingRequest single =
            SamplingRequest.single(request.prompt(), request.seeds()[i], options);
        SampledResponse response = sample(EngineSettings.of(1, 57), List.of(single)).get(0);
        alone.add(
            new SampledResponse(
                request, i, 0, response.tokens(), response.logProbs(), response.stopped()));
      }
    }
    assertSame(alone, sample(settings, requests));

    List<Integer> order = new ArrayList<>();
    List<Integer> firsts = new ArrayList<>();
    for (int i = 0, at = 0; i < requests.size(); at += requests.get(i++).samples()) {
      order.add(i);
      firsts.add(at);
    }
    Collections.shuffle(order, new Random(SEED));
    List<SampledResponse> shuffled = sample(settings, order.stream().map(requests::get).toList());
    int at = 0;
    for (int i : order) {
      for (int k = 0; k < requests.get(i).samples(); k++) {
        assertSame("request " + i, alone.get(firsts.get(i) + k), shuffled.get(at++));
      }
    }
  }

  @Test
  void interruptedResponsesKeepTheirResult() {
    List<SamplingRequest> requests = requests(14);
    List<SampledResponse> roomy = sample(EngineSettings.of(64, 57), requests);
    try (SamplingEngine engine = new SamplingEngine(model, new EngineSettings(16, 64, 32, 29, 2))) {
      assertSame(roomy, engine.sampleAll(requests));
      assertTrue(engine.preemptions() > 0, "the cache must be too small for this test");
    }
  }

  @Test
  void aListenerGetsEachTokenOnceAndInOrder() {
    List<SamplingRequest> requests = requests(14);
    Map<List<Object>, List<Integer>> heard = new HashMap<>();
    // Interrupted responses are computed again; their tokens are not sampled again.
    try (SamplingEngine engine = new SamplingEngine(model, new EngineSettings(16, 64, 32, 29, 2))) {
      engine.listen(
          (request, sample, token) ->
              heard
                  .computeIfAbsent(
                      List.of(requests.indexOf(request), sample), _ -> new ArrayList<>())
                  .add(token.id()));
      for (SampledResponse response : engine.sampleAll(requests)) {
        assertEquals(
            IntStream.of(response.tokens()).boxed().toList(),
            heard.remove(List.of(requests.indexOf(response.request()), response.sample())));
      }
    }
    assertTrue(heard.isEmpty(), heard.toString());
  }

  @Test
  void aWaitingResponseTakesAFreePlaceAtOnce() {
    SamplingOptions one = new SamplingOptions(1, 1, 1);
    SamplingOptions four = new SamplingOptions(4, 1, 1);
    try (SamplingEngine engine = new SamplingEngine(model, EngineSettings.of(2, 8))) {
      assertTrue(engine.offer(SamplingRequest.single(new int[] {3}, 1, four)));
      assertTrue(engine.offer(SamplingRequest.single(new int[] {4}, 2, one)));
      assertTrue(engine.offer(SamplingRequest.single(new int[] {5}, 3, one)));
      assertTrue(engine.offer(SamplingRequest.single(new int[] {6}, 4, one)));
      assertFalse(engine.offer(new SamplingRequest(new int[] {6}, new long[] {5}, one)));
      List<Integer> finished = new ArrayList<>();
      while (!engine.isIdle()) {
        finished.add(engine.step().size());
      }
      assertEquals(List.of(1, 1, 1, 1), finished);
    }
  }

  @Test
  void theQueueIsBounded() {
    SamplingOptions options = new SamplingOptions(2, 1, 1);
    try (SamplingEngine engine = new SamplingEngine(model, new EngineSettings(1, 3, 4, 8, 4))) {
      assertTrue(engine.offer(new SamplingRequest(new int[] {3}, new long[] {1, 2}, options)));
      assertFalse(engine.offer(new SamplingRequest(new int[] {3}, new long[] {1, 2}, options)));
      assertTrue(engine.offer(new SamplingRequest(new int[] {3}, new long[] {1}, options)));
      assertEquals(3, engine.waiting());
      engine.step();
      assertEquals(1, engine.running());
      assertEquals(2, engine.waiting());
      assertTrue(engine.offer(new SamplingRequest(new int[] {3}, new long[] {1}, options)));
    }
  }

  @Test
  void sharedPromptsAreComputedOnce() {
    int[] prompt = new Random(1).ints(33, 3, 37).toArray();
    SamplingRequest request =
        new SamplingRequest(prompt, new long[6], new SamplingOptions(3, 1, 1));
    // Six times nine pages do not fit the cache; eight shared pages and six copies of the last one
    // do.
    try (SamplingEngine engine = new SamplingEngine(model, new EngineSettings(6, 6, 64, 16, 4))) {
      List<SampledResponse> responses = engine.sampleAll(List.of(request));
      assertEquals(0, engine.preemptions());
      for (SampledResponse response : responses) {
        assertArrayEquals(responses.get(0).tokens(), response.tokens());
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 3, 7, 18})
  void thePolicyChangesBetweenResponses(int steps) {
    List<SamplingRequest> requests = requests(9);
    EngineSettings settings = new EngineSettings(4, 64, 8, 40, 4);
    try (LanguageModel other = model(SEED + 1)) {
      List<SampledResponse> byFirst = sample(settings, requests);
      List<SampledResponse> bySecond;
      try (SamplingEngine engine = new SamplingEngine(other, settings)) {
        bySecond = engine.sampleAll(requests);
      }
      WatchedPolicy first = new WatchedPolicy(model, 1);
      WatchedPolicy second = new WatchedPolicy(other, 2);
      List<SampledResponse> mixed = new ArrayList<>();
      try (SamplingEngine engine = new SamplingEngine(first, settings)) {
        requests.forEach(request -> assertTrue(engine.offer(request)));
        for (int i = 0; i < steps; i++) {
          mixed.addAll(engine.step());
        }
        engine.use(second);
        assertEquals(2, engine.policyVersion());
        assertTrue(engine.isChangingPolicy());
        while (!engine.isIdle()) {
          assertEquals(engine.isChangingPolicy(), !first.isClosed());
          mixed.addAll(engine.step());
        }
        assertTrue(first.isClosed());
        assertFalse(second.isClosed());
      }
      assertTrue(second.isClosed());
      assertEquals(responses(requests), mixed.size());
      int withFirst = 0;
      for (SampledResponse response : mixed) {
        int at = response.sample();
        for (int i = 0; !requests.get(i).equals(response.request()); i++) {
          at += requests.get(i).samples();
        }
        boolean isFirst = response.policyVersion() == 1;
        withFirst += isFirst ? 1 : 0;
        assertSame("response " + at, (isFirst ? byFirst : bySecond).get(at), response);
      }
      assertTrue(withFirst > 0 && withFirst < mixed.size(), "both policies must have sampled");
    }
  }

  @Test
  void refusesRequestsThatItCannotServe() {
    SamplingOptions options = new SamplingOptions(10, 1, 1);
    try (SamplingEngine engine = new SamplingEngine(model, new EngineSettings(2, 4, 4, 8, 4))) {
      assertRefused(engine, new SamplingRequest(new int[60], new long[1], options), "60", "64");
      assertRefused(
          engine, new SamplingRequest(new int[30], new long[1], options), "30", "8 pages");
      assertRefused(engine, new SamplingRequest(new int[3], new long[5], options), "5", "4");
      assertRefused(engine, SamplingRequest.single(new int[] {37}, 1, options), "37");
      assertTrue(engine.isIdle());
    }
    assertThrows(
        IllegalArgumentException.class, () -> SamplingRequest.single(new int[0], 1, options));
    assertThrows(IllegalArgumentException.class, () -> new EngineSettings(4, 4, 3, 8, 4));
    assertThrows(IllegalArgumentException.class, () -> new SamplingOptions(1, 1, 0));
    assertThrows(IllegalArgumentException.class, () -> new SamplingOptions(1, Float.NaN, 1));
  }

  private static void assertRefused(
      SamplingEngine engine, SamplingRequest request, String... named) {
    String message =
        assertThrows(IllegalArgumentException.class, () -> engine.offer(request)).getMessage();
    for (String part : named) {
      assertTrue(message.contains(part), message);
    }
  }

  @Test
  void aRequestNeedsATemperatureForEveryResponseOrNone() {
    SamplingOptions options = new SamplingOptions(3, 0.5f, 1);
    int[] prompt = {3};
    SamplingRequest request = new SamplingRequest(prompt, new long[2], options, 0, 1.5f);
    assertEquals(0, request.temperature(0));
    assertEquals(1.5f, request.temperature(1));
    assertEquals(0.5f, new SamplingRequest(prompt, new long[2], options).temperature(1));
    assertThrows(
        IllegalArgumentException.class,
        () -> new SamplingRequest(prompt, new long[2], options, 1f));
    assertThrows(
        IllegalArgumentException.class,
        () -> new SamplingRequest(prompt, new long[1], options, Float.NaN));
  }
}
