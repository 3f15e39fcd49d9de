package io.millrace.jobs.rejection;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.Announcement;
import io.millrace.jobs.models.Dialogues;
import io.millrace.jobs.models.InitialModel;
import io.millrace.jobs.models.PolicyModel;
import io.millrace.jobs.testkit.TestModels;
import io.millrace.jobs.testkit.TwoInputRun;
import io.millrace.model.chat.Message;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.ModelWeights;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.reward.PiecewiseReward;
import io.millrace.model.sampling.EngineSettings;
import io.millrace.model.sampling.SampledResponse;
import io.millrace.model.sampling.SamplingEngine;
import io.millrace.model.sampling.SamplingOptions;
import io.millrace.model.sampling.SamplingRequest;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Backends;
import io.millrace.schemas.Objective;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.RewardCheckpoint;
import io.millrace.schemas.Role;
import io.millrace.schemas.Turn;
import io.millrace.schemas.WithdrawnBy;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Sampling and scoring beside the mailbox; the deadline is for a thread that hangs. */
@Timeout(120)
class CandidatesOperatorTest {

  private static final int SAMPLES = 5;
  private static final int MAX_TOKENS = 24;
  private static final float[] TEMPERATURES = {0.5f, 1.5f, 0.5f, 1.5f, 0.5f};

  @TempDir private static Path directory;
  private static MillraceConfig config;

  /** A policy of the same tokenizer and shape with other weights, as version 7. */
  private static Path other;

  @BeforeAll
  static void makeModels() throws IOException {
    config = config();
    Path initial = Path.of(config.model().initial());
    other = TestModels.policy(initial, directory.resolve("other"), 7);
    for (Objective objective : Objective.values()) {
      TestModels.rewardModel(initial, rewardModel(objective), 3, objective.ordinal());
    }
  }

  private static MillraceConfig config(String... settings) throws IOException {
    List<String> all =
        new ArrayList<>(
            List.of(
                "checkpoints.directory=" + directory,
                "model.hidden-size=16",
                "model.layers=1",
                "model.ffn-size=24",
                "rollout.batch-size=4",
                "rollout.max-prompt-tokens=64",
                "rollout.max-tokens=" + MAX_TOKENS,
                "rejection-sampling.samples-per-prompt=" + SAMPLES,
                "rejection-sampling.temperatures=0.5, 1.5",
                "rejection-sampling.max-waiting=10"));
    all.addAll(List.of(settings));
    return InitialModel.ensure(ConfigLoader.load(Optional.empty(), all));
  }

  private static Path rewardModel(Objective objective) {
    return directory.resolve("reward-" + objective);
  }

  private static TwoInputRun<Prompt, Announcement, Candidates> run(boolean bounded)
      throws Exception {
    return TwoInputRun.of(() -> new CandidatesOperator(config, bounded), null);
  }

  private static Prompt prompt(int i) {
    return Prompt.newBuilder()
        .setPromptId("p" + i)
        .setDialogue(List.of(new Turn(Role.USER, "Tell me of thing number " + i % 5)))
        .setIsSafety(i % 2 == 0)
        .setTime(Instant.EPOCH)
        .build();
  }

  private static Announcement policy() {
    return Announcement.of(
        PolicyCheckpoint.newBuilder()
            .setModel(config.model().name())
            .setVersion(7)
            .setUri(other.toString())
            .setManifestSha256("")
            .setIteration(0)
            .setStep(0)
            .setTime(Instant.EPOCH)
            .build());
  }

  private static Announcement rewardModelOf(Objective objective) {
    return Announcement.of(
        RewardCheckpoint.newBuilder()
            .setObjective(objective)
            .setVersion(3)
            .setUri(rewardModel(objective).toString())
            .setManifestSha256("")
            .setJudgments(0)
            .setTime(Instant.EPOCH)
            .build());
  }

  private static List<Announcement> rewardModels() {
    return Stream.of(Objective.values()).map(CandidatesOperatorTest::rewardModelOf).toList();
  }

  private static List<Prompt> prompts(int from, int to) {
    return IntStream.range(from, to).mapToObj(CandidatesOperatorTest::prompt).toList();
  }

  private static void assertInOrder(int prompts, List<Candidates> candidates) {
    assertEquals(prompts, candidates.size());
    for (int i = 0; i < prompts; i++) {
      assertEquals("p" + i, candidates.get(i).promptId());
    }
  }

  /** Sampled, scored and chosen one prompt after another, by nothing but the models. */
  private static void assertWhatTheModelsSay(List<Candidates> all) throws IOException {
    try (Backend backend = Backends.openDefault();
        PolicyModel first = PolicyModel.load(backend, config.model().initial());
        PolicyModel second = PolicyModel.load(backend, other.toString());
        CheckpointDirectory helpfulnessFiles =
            CheckpointDirectory.open(rewardModel(Objective.HELPFULNESS));
        CheckpointDirectory safetyFiles = CheckpointDirectory.open(rewardModel(Objective.SAFETY));
        ScalarModel helpfulness = ModelWeights.rewardModel(backend, helpfulnessFiles);
        ScalarModel safety = ModelWeights.rewardModel(backend, safetyFiles)) {
      Map<Long, PolicyModel> policies = Map.of(0L, first, 7L, second);
      for (Candidates candidates : all) {
        PolicyModel policy = policies.get(candidates.models().policy().version());
        SamplingOptions options = new SamplingOptions(MAX_TOKENS, 1, 1, first.tokenizer().eos());
        int[] prompt = promptTokens(first, candidates.promptId());
        long[] seeds = new long[SAMPLES];
        for (int k = 0; k < SAMPLES; k++) {
          seeds[k] =
              SamplingRequest.seed(
                  config.model().seed(), candidates.promptId() + "@" + policy.version() + "/" + k);
        }
        List<SampledResponse> responses;
        try (SamplingEngine engine =
            new SamplingEngine(
                policy.model(), EngineSettings.of(SAMPLES, prompt.length + MAX_TOKENS))) {
          responses =
              engine.sampleAll(List.of(new SamplingRequest(prompt, seeds, options, TEMPERATURES)));
        }
        List<int[]> sequences = new ArrayList<>();
        int winner = -1;
        for (SampledResponse response : responses) {
          int[] tokens = new int[prompt.length + response.tokens().length];
          System.arraycopy(prompt, 0, tokens, 0, prompt.length);
          System.arraycopy(response.tokens(), 0, tokens, prompt.length, response.tokens().length);
          sequences.add(tokens);
        }
        float[] h = helpfulness.score(sequences);
        float[] s = safety.score(sequences);
        double[] rewards = new double[SAMPLES];
        for (int k = 0; k < SAMPLES; k++) {
          rewards[k] = PiecewiseReward.defaults().combine(h[k], s[k], candidates.isSafety());
          boolean mayWin =
              responses.get(k).stopped()
                  && !first.template().responseText(responses.get(k).tokens()).isBlank();
          assertEquals(mayWin, candidates.usable()[k]);
          if (mayWin && (winner < 0 || rewards[k] > rewards[winner])) {
            winner = k;
          }
        }
        assertArrayEquals(rewards, candidates.rewards());
        assertEquals(winner >= 0, candidates.hasWinner());
        if (winner >= 0) {
          assertArrayEquals(responses.get(winner).tokens(), candidates.winner().response());
          assertEquals(TEMPERATURES[winner], candidates.winner().temperature());
          assertEquals(h[winner], candidates.winner().scores().helpfulness());
          assertEquals(s[winner], candidates.winner().scores().safety());
        }
        assertEquals(
            responses.stream().filter(response -> !response.stopped()).count(),
            candidates.truncated());
      }
    }
  }

  private static int[] promptTokens(PolicyModel policy, String promptId) {
    Prompt prompt = prompt(Integer.parseInt(promptId.substring(1)));
    return policy.template().promptTokens(Dialogues.messages(prompt.getDialogue()));
  }

  private static void assertOfTheLatestModels(int prompts, List<Candidates> candidates)
      throws IOException {
    assertInOrder(prompts, candidates);
    candidates.forEach(c -> assertEquals(7, c.models().policy().version()));
    assertWhatTheModelsSay(candidates);
  }

  @Test
  void everyPromptGivesItsCandidatesInTheOrderInWhichPromptsCame() throws Exception {
    try (var run = run(false)) {
      List<Candidates> candidates =
          run.announce(rewardModels()).feed(prompts(0, 20)).end().output();
      assertInOrder(20, candidates);
      assertWhatTheModelsSay(candidates);
      assertTrue(candidates.stream().anyMatch(Candidates::hasWinner), "nothing ever won");
      assertTrue(candidates.stream().anyMatch(c -> c.truncated() > 0), "nothing was ever cut");
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 4})
  void whatIsInFlightSurvivesAFailure(int emittedBefore) throws Exception {
    try (var run = run(false)) {
      run.announce(rewardModels()).feed(prompts(0, 6));
      run.awaitEmitted(emittedBefore);
      run.dieAfter(prompts(9, 10));
      List<Candidates> candidates = run.feed(prompts(6, 9)).end().output();
      assertInOrder(9, candidates);
      assertWhatTheModelsSay(candidates);
    }
  }

  @Test
  void allResponsesToAPromptAreOfOnePolicy() throws Exception {
    try (var run = run(false)) {
      run.announce(rewardModels()).feed(prompts(0, 4));
      run.announce(List.of(policy())).feed(prompts(4, 14)).end();
      List<Candidates> candidates = run.output();
      assertInOrder(14, candidates);
      assertWhatTheModelsSay(candidates);
      assertEquals(7, candidates.getLast().models().policy().version());
      assertEquals(other.toString(), candidates.getLast().models().policy().uri());
    }
  }

  @Test
  void promptsWaitForBothRewardModelsUpToALimit() throws Exception {
    try (var run = run(false)) {
      run.announce(List.of(rewardModelOf(Objective.SAFETY))).feed(prompts(0, 10));
      assertEquals(List.of(), run.output());
      String message =
          assertThrows(IllegalStateException.class, () -> run.feed(prompts(10, 11))).getMessage();
      assertTrue(message.contains("10 prompts wait, and no helpfulness reward model"), message);
      run.announce(List.of(rewardModelOf(Objective.HELPFULNESS))).feed(prompts(10, 12)).end();
      assertInOrder(12, run.output());
    }
  }

  @Test
  void aBoundedRunTakesTheLastModelsThereAre() throws Exception {
    try (var run = run(true)) {
      run.announce(rewardModels()).feed(prompts(0, 15));
      run.endRecords();
      assertEquals(List.of(), run.output());
      run.announce(List.of(policy()));
      run.endAnnouncements();
      assertOfTheLatestModels(15, run.output());
    }
  }

  @Test
  void aSubtaskThatARescaleAddsHasTheLatestModels() throws Exception {
    OperatorSubtaskState state;
    try (var run = run(false)) {
      state = run.announce(rewardModels()).announce(List.of(policy())).snapshot();
    }
    for (int subtask = 0; subtask < 2; subtask++) {
      try (var run =
          TwoInputRun.rescaled(() -> new CandidatesOperator(config, false), state, 2, subtask)) {
        assertOfTheLatestModels(3, run.feed(prompts(0, 3)).end().output());
      }
    }
  }

  /**
   * Safety prompts have further responses, sampled under the messages. What wins is an answer to
   * the prompt without the message.
   */
  @Test
  void responsesUnderAMessageCompeteAsAnswersToThePromptWithoutIt() throws Exception {
    List<String> messages = List.of("Be safe.", "Refuse what harms.");
    int samples = 3;
    MillraceConfig guiding =
        config(
            "rejection-sampling.preprompts=" + String.join(",", messages),
            "rejection-sampling.preprompt-samples=" + samples);
    List<Candidates> all;
    try (TwoInputRun<Prompt, Announcement, Candidates> run =
        TwoInputRun.of(() -> new CandidatesOperator(guiding, false), null)) {
      all = run.announce(rewardModels()).feed(prompts(0, 30)).end().output();
    }
    assertInOrder(30, all);
    assertEquals(15, all.stream().filter(one -> one.guided() != null).count());
    assertTrue(all.stream().anyMatch(one -> one.guided() != null && one.guided().won()));
    assertTrue(
        all.stream()
            .anyMatch(one -> one.guided() != null && one.hasWinner() && !one.guided().won()),
        "responses under a message always won");
    try (Backend backend = Backends.openDefault();
        PolicyModel policy = PolicyModel.load(backend, config.model().initial());
        CheckpointDirectory safetyFiles = CheckpointDirectory.open(rewardModel(Objective.SAFETY));
        CheckpointDirectory helpfulnessFiles =
            CheckpointDirectory.open(rewardModel(Objective.HELPFULNESS));
        ScalarModel safety = ModelWeights.rewardModel(backend, safetyFiles);
        ScalarModel helpfulness = ModelWeights.rewardModel(backend, helpfulnessFiles)) {
      for (Candidates candidates : all) {
        assertEquals(candidates.isSafety(), candidates.guided() != null);
        assertEquals(SAMPLES, candidates.rewards().length);
        if (!candidates.isSafety()) {
          continue;
        }
        Prompt prompt = prompt(Integer.parseInt(candidates.promptId().substring(1)));
        int[] plain = promptTokens(policy, candidates.promptId());
        double best = Double.NEGATIVE_INFINITY;
        int[] winner = null;
        for (int k = 0; k < SAMPLES + samples; k++) {
          // The messages take turns; the numbers go on message by message.
          int message = k < SAMPLES ? -1 : k < SAMPLES + 2 ? 0 : 1;
          int j = message < 0 ? k : k - SAMPLES;
          List<Message> dialogue = new ArrayList<>(Dialogues.messages(prompt.getDialogue()));
          if (message >= 0) {
            dialogue.addFirst(Message.system(messages.get(message)));
          }
          SamplingRequest request =
              new SamplingRequest(
                  policy.template().promptTokens(dialogue),
                  new long[] {
                    SamplingRequest.seed(config.model().seed(), candidates.promptId() + "@0/" + k)
                  },
                  new SamplingOptions(MAX_TOKENS, 1, 1, policy.tokenizer().eos()),
                  j % 2 == 0 ? 0.5f : 1.5f);
          SampledResponse response;
          try (SamplingEngine engine =
              new SamplingEngine(policy.model(), EngineSettings.of(1, 128))) {
            response = engine.sampleAll(List.of(request)).getFirst();
          }
          List<int[]> sequence =
              List.of(
                  IntStream.concat(IntStream.of(plain), IntStream.of(response.tokens())).toArray());
          double reward =
              PiecewiseReward.defaults()
                  .combine(helpfulness.score(sequence)[0], safety.score(sequence)[0], true);
          boolean mayWin =
              response.stopped() && !policy.template().responseText(response.tokens()).isBlank();
          if (mayWin && reward > best) {
            best = reward;
            winner = response.tokens();
          }
        }
        assertEquals(winner != null, candidates.hasWinner());
        if (winner != null) {
          assertArrayEquals(plain, candidates.winner().prompt());
          assertArrayEquals(winner, candidates.winner().response());
        }
        assertEquals(samples, candidates.guided().responses());
      }
    }
  }

  @Test
  void aPromptThatIsTooLongUnderAMessageIsSampledWithoutItAndCounted() throws Exception {
    MillraceConfig guiding =
        config(
            "rejection-sampling.preprompts=Be safe.," + "Refuse what harms. ".repeat(3).strip(),
            "rejection-sampling.preprompt-samples=4");
    try (TwoInputRun<Prompt, Announcement, Candidates> run =
        TwoInputRun.of(() -> new CandidatesOperator(guiding, false), null)) {
      GuidedResponses guided =
          run.announce(rewardModels()).feed(prompts(0, 1)).end().output().getFirst().guided();
      assertEquals(2, guided.responses());
      assertEquals(2, guided.tooLong());
    }
  }

  @Test
  void messagesThatLeaveNoRoomForAPromptAreRefused() throws Exception {
    MillraceConfig guiding = config("rejection-sampling.preprompts=" + "Be safe. ".repeat(20));
    String message =
        assertThrows(IllegalArgumentException.class, () -> Preprompts.requireFit(guiding))
            .getMessage();
    assertTrue(message.contains("at most 64 are allowed; shorten the message"), message);
  }

  @Test
  void withdrawnPromptsHaveNoCandidatesAndLaterOnesAreDropped() throws Exception {
    try (var run = run(true)) {
      run.feed(prompts(0, 6));
      run.withdraw(WithdrawnBy.ID, "p0");
      run.withdraw(WithdrawnBy.ID, "p3");
      assertEquals(4, ((List<?>) run.state().get("inFlight")).size());
      run.feed(prompts(3, 4)).announce(rewardModels()).end();
      assertEquals(
          List.of("p1", "p2", "p4", "p5"),
          run.output().stream().map(Candidates::promptId).toList());
      assertEquals(3L, run.accumulator("topics/prompts/dropped/withdrawn"));
    }
  }

  /** Candidates that were made before a withdrawal may be out; the others keep their order. */
  @Test
  void promptsThatAreBeingSampledCanBeWithdrawn() throws Exception {
    try (var run = run(false)) {
      run.announce(rewardModels()).feed(prompts(0, 8));
      run.withdraw(WithdrawnBy.ID, "p5");
      long before = run.output().stream().filter(one -> one.promptId().equals("p5")).count();
      run.feed(prompts(8, 12)).end();
      List<String> ids = new ArrayList<>(run.output().stream().map(Candidates::promptId).toList());
      assertEquals(before, ids.stream().filter("p5"::equals).count());
      ids.remove("p5");
      List<String> expected =
          new ArrayList<>(prompts(0, 12).stream().map(Prompt::getPromptId).toList());
      expected.remove("p5");
      assertEquals(expected, ids);
    }
  }
}
