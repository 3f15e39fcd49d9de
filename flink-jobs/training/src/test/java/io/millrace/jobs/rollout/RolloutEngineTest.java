package io.millrace.jobs.rollout;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.connectors.checkpoint.store.CheckpointCache;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.Dialogues;
import io.millrace.jobs.models.InitialModel;
import io.millrace.jobs.models.PolicyModel;
import io.millrace.jobs.rollout.EngineProxy.Answer;
import io.millrace.jobs.testkit.TwoInputRun;
import io.millrace.model.chat.ChatTemplate;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.CheckpointKind;
import io.millrace.model.checkpoint.CheckpointManifest;
import io.millrace.model.checkpoint.ModelWeights;
import io.millrace.model.llama.Parameters;
import io.millrace.model.sampling.EngineSettings;
import io.millrace.model.sampling.SampledResponse;
import io.millrace.model.sampling.SamplingEngine;
import io.millrace.model.sampling.SamplingOptions;
import io.millrace.model.sampling.SamplingRequest;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Backends;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Role;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.Turn;
import io.millrace.schemas.WithdrawnBy;
import io.millrace.serve.ServeSettings;
import io.millrace.serve.Server;
import io.millrace.serve.follow.ModelSource;
import io.millrace.serve.http.HttpSettings;
import io.millrace.serve.sampling.LaneSettings;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.apache.flink.api.java.tuple.Tuple3;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The operator with our own server as the engine; the deadline is for a request that hangs. */
@Timeout(120)
class RolloutEngineTest {

  private static final int SAMPLES = 3;
  private static final int MAX_TOKENS = 16;
  private static final int VERSION = 7;

  @TempDir private static Path directory;
  private static MillraceConfig initial;
  private static Path policy;
  private static Server server;

  private EngineProxy proxy;

  @BeforeAll
  static void serve() throws IOException {
    initial = InitialModel.ensure(ConfigLoader.load(Optional.empty(), settings(directory)));
    policy = directory.resolve("policy/v%06d".formatted(VERSION));
    try (Backend backend = Backends.openDefault();
        PolicyModel first = PolicyModel.load(backend, initial.model().initial());
        Parameters weights = Parameters.random(backend, first.model().config().parameters(), 99)) {
      CheckpointDirectory.write(
          policy,
          first.model().config(),
          ModelWeights.sources(weights),
          first.tokenizer()::save,
          CheckpointManifest.describing(CheckpointKind.POLICY, "policy", VERSION).build());
    }
    server = server(policy);
  }

  private static List<String> settings(Path checkpoints) {
    return List.of(
        "checkpoints.directory=" + checkpoints,
        "model.hidden-size=16",
        "model.layers=1",
        "model.ffn-size=24",
        "rollout.samples-per-prompt=" + SAMPLES,
        "rollout.max-prompt-tokens=64",
        "rollout.max-tokens=" + MAX_TOKENS);
  }

  private static Server server(Path checkpoint) throws IOException {
    return Server.start(
        new ServeSettings(
            new HttpSettings(
                "127.0.0.1",
                0,
                List.of(),
                Optional.empty(),
                1 << 20,
                1000,
                Duration.ofSeconds(30),
                Duration.ofSeconds(60),
                Duration.ofSeconds(5)),
            new LaneSettings(8, 64, 256, 200, 0),
            Map.of("policy", new ModelSource.Fixed(checkpoint.toString())),
            Map.of(),
            new KafkaSettings("localhost:1", "millrace.", Map.of()),
            new CheckpointCache(directory.resolve("cache").toString(), 1 << 30),
            directory.resolve("copies"),
            _ -> true,
            Optional.empty()),
        Backends::openDefault,
        (backend, found) -> ModelWeights.languageModel(backend, found));
  }

  @AfterAll
  static void stop() {
    server.close();
  }

  @BeforeEach
  void begin() throws IOException {
    proxy = new EngineProxy(server.address());
  }

  @AfterEach
  void end() {
    proxy.close();
  }

  private TwoInputRun<Prompt, PolicyCheckpoint, Rollout> run(
      OperatorSubtaskState state, String... more) throws Exception {
    List<String> settings = new ArrayList<>(settings(directory));
    settings.add("model.initial=" + initial.model().initial());
    settings.add("rollout.engine=openai");
    settings.add("rollout.openai-url=" + proxy.address() + "/v1/");
    settings.add("rollout.openai-concurrency=4");
    settings.add("rollout.openai-retry-delay=5ms");
    settings.add("rollout.openai-pause=50ms");
    settings.addAll(List.of(more));
    MillraceConfig config = ConfigLoader.load(Optional.empty(), settings);
    return TwoInputRun.of(() -> new RolloutOperator(config, false), state);
  }

  private static List<Prompt> prompts(int from, int to) {
    return IntStream.range(from, to)
        .mapToObj(
            i ->
                Prompt.newBuilder()
                    .setPromptId("p" + i)
                    .setDialogue(List.of(new Turn(Role.USER, "Tell me of thing number " + i)))
                    .setIsSafety(false)
                    .setTime(Instant.EPOCH)
                    .build())
        .toList();
  }

  private static void assertOnceEach(int prompts, List<Rollout> rollouts) {
    Set<String> ids = new HashSet<>();
    rollouts.forEach(one -> assertTrue(ids.add(one.getRolloutId()), one.getRolloutId() + " twice"));
    Set<String> expected = new HashSet<>();
    for (int i = 0; i < prompts; i++) {
      for (int k = 0; k < SAMPLES; k++) {
        expected.add("p" + i + "/" + k);
      }
    }
    assertEquals(expected, ids);
  }

  private static int[] ints(List<Integer> values) {
    return values.stream().mapToInt(Integer::intValue).toArray();
  }

  private static boolean is(JsonNode request, Prompt prompt) throws IOException {
    try (Backend backend = Backends.openDefault();
        PolicyModel model = PolicyModel.load(backend, policy.toString())) {
      int[] tokens =
          ChatTemplate.of(model.tokenizer()).promptTokens(Dialogues.messages(prompt.getDialogue()));
      return request.path("prompt").toString().equals(Arrays.toString(tokens).replace(" ", ""));
    }
  }

  /**
   * At a temperature near 0 the engine's tokens are those of the policy, and so are its log-probs.
   */
  @Test
  void rolloutsAreThoseOfThePolicyThatTheEngineNames() throws Exception {
    List<Rollout> rollouts;
    try (var run = run(null, "rollout.temperature=0.01")) {
      rollouts = run.feed(prompts(0, 12)).end().output();
    }
    assertOnceEach(12, rollouts);
    try (Backend backend = Backends.openDefault();
        PolicyModel model = PolicyModel.load(backend, policy.toString())) {
      ChatTemplate template = ChatTemplate.of(model.tokenizer());
      for (Rollout rollout : rollouts) {
        assertEquals("millrace", rollout.getEngine());
        assertEquals(VERSION, rollout.getPolicyVersion());
        assertEquals("policy", rollout.getModel());
        int[] prompt = ints(rollout.getPromptTokens());
        assertArrayEquals(template.promptTokens(Dialogues.messages(rollout.getDialogue())), prompt);
        SamplingOptions options =
            new SamplingOptions(MAX_TOKENS, 0.01f, 1, model.tokenizer().eos());
        try (SamplingEngine engine =
            new SamplingEngine(model.model(), EngineSettings.of(1, prompt.length + MAX_TOKENS))) {
          SampledResponse alone =
              engine.sampleAll(List.of(SamplingRequest.single(prompt, 1, options))).getFirst();
          assertArrayEquals(alone.tokens(), ints(rollout.getResponseTokens()));
          for (int i = 0; i < alone.tokens().length; i++) {
            assertEquals(alone.logProbs()[i], rollout.getLogProbs().get(i), 1e-2);
          }
          assertEquals(template.responseText(alone.tokens()), rollout.getResponseText());
        }
      }
    }
  }

  /** Whatever an engine answers while it is down, prompts wait, and Flink checkpoints go on. */
  @Test
  void anOutageLosesNothing() throws Exception {
    AtomicInteger asked = new AtomicInteger();
    List<Answer> outage =
        List.of(
            EngineProxy.BROKEN,
            new Answer(503, "{}", ""),
            new Answer(500, "no JSON", ""),
            new Answer(429, "{}", "0"));
    OperatorSubtaskState state;
    List<Rollout> before;
    try (var run = run(null)) {
      // The first request is the check.
      proxy.faults =
          _ -> {
            int number = asked.getAndIncrement();
            return number > 3 ? outage.get(number % outage.size()) : null;
          };
      run.feed(prompts(0, 4));
      run.awaitEmitted(2 * SAMPLES);
      while (asked.get() < 16) {
        Thread.onSpinWait();
      }
      state = run.snapshot();
      before = run.output();
      run.die(state);
      proxy.faults = _ -> null;
      List<Rollout> after = run.feed(prompts(4, 8)).end().output();
      assertOnceEach(8, after);
      assertTrue(after.containsAll(before));
    }
  }

  @Test
  void aRefusedPromptIsADeadLetterAndTheOthersAreSampled() throws Exception {
    Prompt bad = prompts(3, 4).getFirst();
    proxy.faults =
        request -> {
          try {
            return is(request, bad)
                ? new Answer(400, "{\"error\":{\"message\":\"too \\u0007 long\"}}", "")
                : null;
          } catch (IOException e) {
            throw new UncheckedIOException(e);
          }
        };
    try (var run = run(null)) {
      run.feed(prompts(0, 6));
      run.awaitEmitted(5 * SAMPLES);
      while (run.harness.getSideOutput(RolloutOperator.REFUSED) == null) {
        run.harness.getTaskMailbox().take(0).run();
      }
      List<Tuple3<Prompt, String, String>> refused =
          run.harness.getSideOutput(RolloutOperator.REFUSED).stream()
              .map(StreamRecord::getValue)
              .toList();
      assertEquals(1, refused.size());
      assertEquals(bad, refused.getFirst().f0);
      assertEquals("engine-refused", refused.getFirst().f1);
      assertTrue(
          refused.getFirst().f2.contains("status 400: {\"error\":{\"message\":\"too"),
          refused.getFirst().f2);
      assertEquals(5 * SAMPLES, run.end().output().size());
    }
  }

  @Test
  void aPromptThatFailsWhileOthersSucceedIsRefused() throws Exception {
    Prompt bad = prompts(0, 1).getFirst();
    proxy.faults =
        request -> {
          try {
            return is(request, bad) ? new Answer(500, "{}", "") : null;
          } catch (IOException e) {
            throw new UncheckedIOException(e);
          }
        };
    try (var run = run(null, "rollout.openai-retries=1")) {
      int fed = 1;
      run.feed(prompts(0, 1));
      while (run.harness.getSideOutput(RolloutOperator.REFUSED) == null) {
        run.feed(prompts(fed, fed + 1));
        fed++;
        run.awaitEmitted((fed - 1) * SAMPLES);
      }
      assertEquals((fed - 1) * SAMPLES, run.end().output().size());
    }
  }

  @Test
  void aBusyEngineIsAskedAgainAfterTheTimeThatItNames() throws Exception {
    AtomicInteger asked = new AtomicInteger();
    proxy.faults = _ -> asked.getAndIncrement() == 1 ? new Answer(429, "{}", "1") : null;
    long start = System.nanoTime();
    try (var run = run(null)) {
      assertOnceEach(1, run.feed(prompts(0, 1)).end().output());
    }
    assertEquals(3, asked.get());
    assertTrue(System.nanoTime() - start >= Duration.ofSeconds(1).toNanos());
  }

  @Test
  void answersThatRolloutsCannotBeMadeOfFailTheJob() throws Exception {
    assertFails("without token_ids", choice -> choice.remove("token_ids"));
    assertFails("without logprobs.token_logprobs", choice -> choice.putNull("logprobs"));
    assertFails(
        "token_logprobs and",
        choice -> ((ArrayNode) choice.path("logprobs").path("token_logprobs")).remove(0));
    assertFails(
        "with a log-prob 0.5",
        choice -> ((ArrayNode) choice.path("logprobs").path("token_logprobs")).set(0, 0.5));
    assertFails(
        "with a token 1000000", choice -> ((ArrayNode) choice.path("token_ids")).set(0, 1_000_000));
    assertFails(
        "must end with one of the policy's stop tokens",
        choice -> {
          choice.put("finish_reason", "stop");
          ArrayNode tokens = (ArrayNode) choice.path("token_ids");
          tokens.set(tokens.size() - 1, 20);
        });
    assertFails("other prompt_token_ids", choice -> choice.putArray("prompt_token_ids").add(5));
    proxy.changes = answer -> answer.put("system_fingerprint", "fp_44709d6fcb");
    assertFails("without a version of policy: system_fingerprint is \"fp_44709d6fcb\"");
    proxy.changes = answer -> answer.put("system_fingerprint", "other-v7");
    assertFails("without a version of policy: system_fingerprint is \"other-v7\"");
  }

  /** Changes the choices of token ids only. */
  private void assertFails(String message, Consumer<ObjectNode> change) {
    proxy.changes =
        answer ->
            answer
                .path("choices")
                .forEach(
                    choice -> {
                      if (choice.has("text") && answer.path("choices").size() == SAMPLES) {
                        change.accept((ObjectNode) choice);
                      }
                    });
    assertFails(message);
  }

  private void assertFails(String message, String... settings) {
    Throwable problem =
        assertThrows(
            Exception.class,
            () -> {
              try (var run = run(null, settings)) {
                run.feed(prompts(0, 2)).end();
              }
            });
    String text = String.valueOf(problem.getMessage());
    while (problem.getCause() != null) {
      problem = problem.getCause();
      text += " / " + problem.getMessage();
    }
    assertTrue(text.contains(message), text);
  }

  @Test
  void anEngineThatCannotHonourTheSettingsFailsTheJobBeforeItsFirstPrompt() throws Exception {
    assertFails("without the model other (rollout.openai-model)", "rollout.openai-model=other");
    assertFails("temperature\\\" is 3.0; it must be", "rollout.temperature=3");
    proxy.faults = _ -> new Answer(401, "{\"error\":\"who are you, s3cret?\"}", "");
    Path key = Files.writeString(directory.resolve("key"), "s3cret\n");
    assertFails(
        "status 401: (an answer that repeats the key) (rollout.openai-api-key-file)",
        "rollout.openai-api-key-file=" + key);
    proxy.faults = _ -> new Answer(200, "[" + " ".repeat(1 << 24) + "]", "");
    assertFails("bytes; no answer needs so many");
  }

  @Test
  void anEngineWithAnotherTokenizerFailsTheJob() throws Exception {
    Path other = directory.resolve("other");
    List<String> settings = new ArrayList<>(settings(other));
    settings.add("model.vocab-size=300");
    MillraceConfig config = InitialModel.ensure(ConfigLoader.load(Optional.empty(), settings));
    try (Server another = server(Path.of(config.model().initial()));
        EngineProxy before = new EngineProxy(another.address())) {
      proxy.close();
      proxy = before;
      assertFails("with another tokenizer or template than the policy's: a known text has");
    }
  }

  @Test
  void aWithdrawnPromptThatWaitsForTheEngineGivesNoRollout() throws Exception {
    AtomicInteger asked = new AtomicInteger();
    proxy.faults = _ -> asked.getAndIncrement() > 0 ? new Answer(503, "{}", "") : null;
    try (var run = run(null)) {
      run.feed(prompts(0, 3));
      run.withdraw(WithdrawnBy.ID, "p1");
      proxy.faults = _ -> null;
      Set<String> sampled = new HashSet<>();
      run.end().output().forEach(rollout -> sampled.add(rollout.getPromptId()));
      assertEquals(Set.of("p0", "p2"), sampled);
    }
  }
}
