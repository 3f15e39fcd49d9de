package io.millrace.jobs.rollout;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.InitialModel;
import io.millrace.jobs.models.PolicyModel;
import io.millrace.jobs.testkit.TwoInputRun;
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
import java.io.IOException;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.IntStream;
import org.apache.avro.generic.GenericRecord;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Sampling beside the mailbox; the deadline is for a thread that hangs. */
@Timeout(120)
class RolloutOperatorTest {

  private static final int SAMPLES = 3;
  private static final int BATCH = 4;
  private static final int CAPACITY = 2 * BATCH + SAMPLES;

  @TempDir private static Path directory;
  private static MillraceConfig config;

  /** A checkpoint of the same tokenizer and shape with other weights, as version 7. */
  private static Path other;

  /** One of the same store, as version 3. */
  private static Path earlier;

  @BeforeAll
  static void makePolicies() throws IOException {
    config = config(SAMPLES);
    other = writePolicy(7, 99);
    earlier = writePolicy(3, 98);
  }

  private static MillraceConfig config(int samples) throws IOException {
    return InitialModel.ensure(
        ConfigLoader.load(
            Optional.empty(),
            List.of(
                "checkpoints.directory=" + directory,
                "model.hidden-size=16",
                "model.layers=1",
                "model.ffn-size=24",
                "rollout.samples-per-prompt=" + samples,
                "rollout.batch-size=" + BATCH,
                "rollout.max-prompt-tokens=64",
                "rollout.max-tokens=24")));
  }

  private static Path writePolicy(long version, long seed) throws IOException {
    Path policy = directory.resolve("policy/v%06d".formatted(version));
    try (Backend backend = Backends.openDefault();
        PolicyModel first = PolicyModel.load(backend, config.model().initial());
        Parameters weights =
            Parameters.random(backend, first.model().config().parameters(), seed)) {
      CheckpointDirectory.write(
          policy,
          first.model().config(),
          ModelWeights.sources(weights),
          first.tokenizer()::save,
          CheckpointManifest.describing(CheckpointKind.POLICY, "policy", version).build());
    }
    return policy;
  }

  private static TwoInputRun<Prompt, PolicyCheckpoint, Rollout> run(boolean bounded)
      throws Exception {
    return TwoInputRun.of(() -> new RolloutOperator(config, bounded), null);
  }

  private static Prompt prompt(int i) {
    return Prompt.newBuilder()
        .setPromptId("p" + i)
        .setDialogue(List.of(new Turn(Role.USER, "Tell me of thing number " + i % 5)))
        .setIsSafety(i % 2 == 0)
        .setTime(Instant.ofEpochMilli(1000 + i))
        .build();
  }

  private static PolicyCheckpoint announcement() {
    return announcement(7, other);
  }

  private static PolicyCheckpoint announcement(long version, Path policy) {
    return PolicyCheckpoint.newBuilder()
        .setModel(config.model().name())
        .setVersion(version)
        .setUri(policy.toString())
        .setManifestSha256(CheckpointDirectory.manifestDigest(policy))
        .setIteration(0)
        .setStep(0)
        .setRollouts(0)
        .setDemonstrations(0)
        .setMetrics(Map.of())
        .setTime(Instant.EPOCH)
        .build();
  }

  private static List<Prompt> prompts(int from, int to) {
    return IntStream.range(from, to).mapToObj(RolloutOperatorTest::prompt).toList();
  }

  private static void assertOnceEach(int prompts, List<Rollout> rollouts) {
    Set<String> ids = new HashSet<>();
    for (Rollout rollout : rollouts) {
      assertTrue(ids.add(rollout.getRolloutId()), rollout.getRolloutId() + " twice");
    }
    Set<String> expected = new HashSet<>();
    for (int i = 0; i < prompts; i++) {
      for (int k = 0; k < SAMPLES; k++) {
        expected.add("p" + i + "/" + k);
      }
    }
    assertEquals(expected, ids);
  }

  /** Every rollout is what its policy alone gives for its prompt and seed. */
  private static void assertSampledByTheirPolicy(List<Rollout> rollouts) throws IOException {
    try (Backend backend = Backends.openDefault();
        PolicyModel first = PolicyModel.load(backend, config.model().initial());
        PolicyModel second = PolicyModel.load(backend, other.toString())) {
      Map<Long, PolicyModel> policies = new HashMap<>(Map.of(0L, first, 7L, second));
      for (Rollout rollout : rollouts) {
        PolicyModel policy = policies.get(rollout.getPolicyVersion());
        SamplingOptions options = new SamplingOptions(24, 1, 1, first.tokenizer().eos());
        int[] tokens = rollout.getPromptTokens().stream().mapToInt(Integer::intValue).toArray();
        try (SamplingEngine engine =
            new SamplingEngine(policy.model(), EngineSettings.of(1, tokens.length + 24))) {
          SampledResponse alone =
              engine
                  .sampleAll(List.of(SamplingRequest.single(tokens, rollout.getSeed(), options)))
                  .get(0);
          assertArrayEquals(
              alone.tokens(),
              rollout.getResponseTokens().stream().mapToInt(Integer::intValue).toArray());
          float[] logProbs = new float[alone.logProbs().length];
          for (int i = 0; i < logProbs.length; i++) {
            logProbs[i] = rollout.getLogProbs().get(i);
          }
          assertArrayEquals(alone.logProbs(), logProbs, 1e-4f);
        }
      }
    }
  }

  @Test
  void everyPromptGivesItsRolloutsBeforeTheInputEnds() throws Exception {
    try (var run = run(false)) {
      List<Rollout> rollouts = run.feed(prompts(0, 20)).end().output();
      assertOnceEach(20, rollouts);
      assertSampledByTheirPolicy(rollouts);
    }
  }

  @Test
  void takesNoMorePromptsThanKeepTheEngineBusy() throws Exception {
    try (var run = run(false)) {
      for (int i = 0; i < 30; i++) {
        run.feed(prompts(i, i + 1));
        int inFlight = (i + 1) * SAMPLES - run.output().size();
        assertTrue(inFlight < CAPACITY + SAMPLES, inFlight + " responses in flight");
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 7, 16})
  void whatIsInFlightSurvivesAFailure(int emittedBefore) throws Exception {
    try (var run = run(false)) {
      run.feed(prompts(0, 8));
      run.awaitEmitted(emittedBefore);
      OperatorSubtaskState state = run.snapshot();
      int committed = run.output().size();
      run.feed(prompts(12, 13));
      run.awaitEmitted(committed + 1);
      run.die(state);
      List<Rollout> rollouts = run.feed(prompts(8, 12)).end().output();
      assertOnceEach(12, rollouts);
      assertSampledByTheirPolicy(rollouts);
    }
  }

  @Test
  void aPromptInFlightEndsWithFewerSamplesThanBefore() throws Exception {
    List<String> emitted = new ArrayList<>();
    OperatorSubtaskState state;
    int fed = 0;
    try (var run = run(false)) {
      do {
        // Until the first sample of a prompt is emitted and another sample of it is not.
        assertTrue(fed < MANY, "no prompt was ever half done: " + emitted);
        // More than may be in flight: some of them are half done when the last one is taken.
        run.feed(prompts(fed, fed + 8));
        fed += 8;
        state = run.snapshot();
        emitted.clear();
        run.output().forEach(rollout -> emitted.add(rollout.getRolloutId()));
      } while (!hasOnlyItsFirstSample(emitted));
    }
    MillraceConfig fewer = config(1);
    try (var run = TwoInputRun.of(() -> new RolloutOperator(fewer, false), state)) {
      run.end().output().forEach(rollout -> emitted.add(rollout.getRolloutId()));
    }
    assertEquals(emitted.size(), Set.copyOf(emitted).size(), "a rollout is emitted twice");
    for (int i = 0; i < fed; i++) {
      assertTrue(emitted.contains("p" + i + "/0"), emitted.toString());
    }
  }

  /** The operator has some ten responses in flight while prompts come. */
  private static final int MANY = 400;

  private static boolean hasOnlyItsFirstSample(List<String> emitted) {
    return IntStream.range(0, MANY)
        .anyMatch(i -> emitted.contains("p" + i + "/0") && !emitted.contains("p" + i + "/1"));
  }

  @Test
  void thePolicyChangesBetweenResponses() throws Exception {
    try (var run = run(false)) {
      run.feed(prompts(0, 6)).announce(List.of(announcement())).feed(prompts(6, 16)).end();
      List<Rollout> rollouts = run.output();
      assertOnceEach(16, rollouts);
      assertSampledByTheirPolicy(rollouts);
      Set<Long> versions = new HashSet<>();
      rollouts.forEach(rollout -> versions.add(rollout.getPolicyVersion()));
      assertEquals(Set.of(0L, 7L), versions);
    }
  }

  @Test
  void aBoundedRunSamplesWithTheLastPolicyThereIs() throws Exception {
    try (var run = run(true)) {
      run.feed(prompts(0, 20));
      run.endRecords();
      assertEquals(List.of(), run.output());
      run.announce(List.of(announcement()));
      run.endAnnouncements();
      assertSampledByVersionSeven(20, run.output());
    }
  }

  /** A job that starts from a later version reads the announcements from their beginning. */
  @Test
  void anEarlierVersionChangesNothing() throws Exception {
    try (var run = run(false)) {
      run.announce(List.of(announcement(), announcement(3, earlier))).feed(prompts(0, 8)).end();
      assertSampledByVersionSeven(8, run.output());
    }
  }

  @Test
  void aSubtaskThatARescaleAddsSamplesWithTheLatestPolicy() throws Exception {
    OperatorSubtaskState state;
    try (var run = run(false)) {
      state = run.announce(List.of(announcement())).snapshot();
    }
    List<Rollout> rollouts = new ArrayList<>();
    for (int subtask = 0; subtask < 2; subtask++) {
      try (var run =
          TwoInputRun.rescaled(() -> new RolloutOperator(config, false), state, 2, subtask)) {
        run.feed(prompts(4 * subtask, 4 * subtask + 4)).end();
        rollouts.addAll(run.output());
      }
    }
    assertSampledByVersionSeven(8, rollouts);
  }

  private static void assertSampledByVersionSeven(int prompts, List<Rollout> rollouts) {
    assertOnceEach(prompts, rollouts);
    rollouts.forEach(rollout -> assertEquals(7, rollout.getPolicyVersion()));
    for (Rollout rollout : rollouts) {
      int prompt = Integer.parseInt(rollout.getPromptId().substring(1));
      assertEquals(Instant.ofEpochMilli(1000 + prompt), rollout.getPromptTime());
    }
  }

  private static List<String> inFlight(GenericRecord state) {
    return ((List<?>) state.get("inFlight"))
        .stream()
            .map(taken -> ((GenericRecord) ((GenericRecord) taken).get("prompt")))
            .map(prompt -> prompt.get("promptId").toString())
            .toList();
  }

  @Test
  void withdrawnPromptsAreNotSampledAndLaterOnesAreDropped() throws Exception {
    try (var run = run(true)) {
      run.feed(prompts(0, 4));
      run.withdraw(WithdrawnBy.ID, "p2");
      assertEquals(List.of("p0", "p1", "p3"), inFlight(run.state()));
      run.feed(prompts(2, 3)).feed(prompts(4, 6)).end();
      Set<String> sampled = new HashSet<>();
      run.output().forEach(rollout -> sampled.add(rollout.getPromptId()));
      assertEquals(Set.of("p0", "p1", "p3", "p4", "p5"), sampled);
      assertEquals(5 * SAMPLES, run.output().size());
      assertEquals(2L, run.accumulator("topics/prompts/dropped/withdrawn"));
    }
  }

  /** Some responses may have ended before; the others never come out. */
  @Test
  void responsesThatAreBeingSampledForAWithdrawnPromptAreDropped() throws Exception {
    try (var run = run(false)) {
      run.feed(prompts(0, 4));
      run.withdraw(WithdrawnBy.ID, "p3");
      long before = run.output().stream().filter(one -> one.getPromptId().equals("p3")).count();
      assertFalse(inFlight(run.state()).contains("p3"));
      run.feed(prompts(4, 12)).end();
      List<Rollout> others = new ArrayList<>(run.output());
      others.removeIf(one -> one.getPromptId().equals("p3"));
      assertEquals(before, run.output().size() - others.size());
      assertEquals(11 * SAMPLES, others.size());
    }
  }
}
