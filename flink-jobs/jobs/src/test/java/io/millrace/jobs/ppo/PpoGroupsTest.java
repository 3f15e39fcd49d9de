package io.millrace.jobs.ppo;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.connectors.broker.EmbeddedBroker;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.InitialModel;
import io.millrace.jobs.models.ModelRef;
import io.millrace.jobs.models.RewardModelPair;
import io.millrace.jobs.runtime.JobSettings;
import io.millrace.jobs.testkit.OperatorRun;
import io.millrace.schemas.FinishReason;
import io.millrace.schemas.Role;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.TrainingMetrics;
import io.millrace.schemas.Turn;
import io.millrace.schemas.WithdrawnBy;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The updater without a critic: groups of responses to one prompt, and their recovery. */
@Timeout(120)
@SuppressWarnings("try") // Flink's harness may throw InterruptedException from close().
class PpoGroupsTest {

  private static final long SEED = 23;
  private static final int SAMPLES = 4;
  private static final int BATCH = 8;

  @TempDir private static Path directory;
  private static EmbeddedBroker broker;

  @BeforeAll
  static void start() throws Exception {
    broker = EmbeddedBroker.start(directory.resolve("kafka"), 0);
    try (TopicAdmin admin = new TopicAdmin(JobSettings.kafka(config("start", "rloo")))) {
      admin.createAll(1, 1);
    }
  }

  @AfterAll
  static void stop() throws Exception {
    broker.close();
  }

  /** A configuration with a checkpoint store of its own. */
  private static MillraceConfig config(String store, String advantage, String... settings)
      throws Exception {
    List<String> all =
        new ArrayList<>(
            List.of(
                "kafka.bootstrap-servers=" + broker.bootstrapServers(),
                "checkpoints.directory=" + directory.resolve(store),
                "model.seed=" + SEED,
                "rollout.samples-per-prompt=" + SAMPLES,
                "ppo.advantage=" + advantage,
                "ppo.batch-size=" + BATCH,
                "ppo.mini-batch-size=4",
                "ppo.score-batch-size=4",
                "ppo.epochs=2",
                "ppo.learning-rate=1e-3",
                "ppo.max-staleness=1000000"));
    if (advantage.equals("grpo")) {
      all.addAll(List.of("ppo.kl-in=loss", "ppo.kl-estimator=k3", "ppo.clip-level=sequence"));
    }
    all.addAll(OperatorRun.TINY_MODEL);
    all.addAll(List.of(settings));
    return InitialModel.ensure(ConfigLoader.load(Optional.empty(), all));
  }

  /** A response to a prompt; no reward model is where its URI says. */
  private static ScoredRollout rollout(int prompt, int sample, long version) {
    SplittableRandom random = new SplittableRandom(SEED + 1000L * prompt + sample);
    int[] response = random.ints(1 + random.nextInt(12), 0, 256).toArray();
    float[] logProbs = new float[response.length];
    Arrays.fill(logProbs, (float) -Math.log(300));
    Rollout sampled =
        Rollout.newBuilder()
            .setRolloutId("p" + prompt + "-" + sample)
            .setPromptId("p" + prompt)
            .setDialogue(List.of(new Turn(Role.USER, "Hi " + prompt)))
            .setPromptTokens(List.of(1 + prompt / 200, 1 + prompt % 200))
            .setResponseTokens(Arrays.stream(response).boxed().toList())
            .setLogProbs(Collections.nCopies(logProbs.length, logProbs[0]))
            .setResponseText("")
            .setFinishReason(FinishReason.STOP)
            .setModel("policy")
            .setPolicyVersion(version)
            .setTemperature(1)
            .build();
    return new ScoredRollout(
        sampled,
        prompt % 3 == 0,
        (float) random.nextGaussian(),
        (float) random.nextGaussian(),
        new RewardModelPair(new ModelRef(1, "nowhere", ""), new ModelRef(1, "nowhere", "")),
        logProbs.clone());
  }

  private static List<ScoredRollout> group(int prompt, int samples) {
    List<ScoredRollout> group = new ArrayList<>();
    for (int sample = 0; sample < samples; sample++) {
      group.add(rollout(prompt, sample, 0));
    }
    return group;
  }

  /** Whole groups, of which up to five are open at a time; one of ten lacks a response. */
  private static List<ScoredRollout> interleaved(int prompts) {
    List<ScoredRollout> all = new ArrayList<>();
    for (int from = 0; from < prompts; from += 5) {
      List<ScoredRollout> some = new ArrayList<>();
      for (int prompt = from; prompt < Math.min(prompts, from + 5); prompt++) {
        some.addAll(group(prompt, prompt % 10 == 7 ? SAMPLES - 1 : SAMPLES));
      }
      Collections.shuffle(some, new java.util.Random(SEED + from));
      all.addAll(some);
    }
    return all;
  }

  private static final class Run extends OperatorRun<ScoredRollout> {
    Run(MillraceConfig config, OperatorSubtaskState state) throws Exception {
      super(() -> new PpoOperator(config), state);
    }

    /** Metrics of each iteration, by the last life that came to it. */
    TreeMap<Long, Map<String, Double>> iterations() {
      TreeMap<Long, Map<String, Double>> iterations = new TreeMap<>();
      for (TrainingMetrics metric : metrics) {
        Map<String, Double> values = new TreeMap<>(metric.getMetrics());
        values.keySet().removeIf(name -> name.startsWith("device/"));
        iterations.put(metric.getStep(), values);
      }
      return iterations;
    }

    double count(String name) {
      return summary("ppo").get(name);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"rloo", "grpo", "reinforce++"})
  void aRunThatDiesWithOpenGroupsEndsInTheSameBits(String advantage) throws Exception {
    List<ScoredRollout> all = interleaved(20);
    try (Run straight = new Run(config("straight-" + advantage, advantage), null);
        Run killed = new Run(config("killed-" + advantage, advantage), null)) {
      straight.feed(all).end();
      int from = 0;
      for (int to : new int[] {3, 2 * BATCH + 1, 5 * BATCH + 3}) {
        killed.feed(all.subList(from, to));
        killed.dieAfter(all.subList(to, to + 2 * BATCH + 5));
        from = to;
      }
      killed.feed(all.subList(from, all.size())).end();
      assertEquals(straight.published, killed.published);
      assertEquals(straight.iterations(), killed.iterations());
      assertTrue(straight.published.size() >= 9, "versions " + straight.published.keySet());
      assertFalse(straight.iterations().get(1L).containsKey("loss/value_avg"));
      if (!advantage.startsWith("reinforce")) {
        assertTrue(
            straight.iterations().values().stream().anyMatch(m -> m.get("groups/open") > 0),
            "some iteration must see open groups, to show anything");
        // The two groups with three responses are closed at the end of the input.
        assertEquals(78, straight.count("learned") + straight.count("incomplete-batch"));
        assertEquals(2, straight.count("groups/incomplete"));
        assertEquals(0, straight.count("dropped/alone"));
      }
    }
  }

  @Test
  void beyondTheBoundTheOldestGroupIsClosed() throws Exception {
    List<ScoredRollout> all = new ArrayList<>();
    all.addAll(group(0, 1)); // Alone.
    all.addAll(group(1, 3)); // Learned from with three responses.
    all.addAll(group(2, 2)); // Open while group 3 arrives.
    all.addAll(group(3, SAMPLES));
    all.addAll(group(2, SAMPLES).subList(2, SAMPLES));
    try (Run run = new Run(config("bound", "rloo", "ppo.max-open-groups=1"), null)) {
      run.feed(all).end();
      assertEquals(1, run.count("dropped/alone"));
      // Group 1 by group 2, and group 2 by group 3: its late responses are a group of their own.
      assertEquals(3, run.count("groups/incomplete"));
      assertEquals(3 + 2 + 4 + 2, run.count("learned") + run.count("incomplete-batch"));
      assertEquals(5, run.iterations().get(1L).get("learned"), "a batch is two groups");
      assertEquals(2.5, run.iterations().get(1L).get("groups/size"));
      assertEquals(12, run.count("rollouts"));
    }
  }

  @Test
  void atTheEndOfTheInputOpenGroupsAreClosed() throws Exception {
    List<ScoredRollout> all = new ArrayList<>();
    all.addAll(group(0, 3));
    all.addAll(group(1, 1));
    all.addAll(group(2, 2));
    try (Run run = new Run(config("end", "rloo"), null)) {
      run.feed(all).end();
      assertEquals(List.of(1L), List.copyOf(run.published.keySet()));
      assertEquals(5, run.count("learned"));
      assertEquals(1, run.count("dropped/alone"));
      assertEquals(2, run.count("groups/incomplete"));
    }
  }

  /** Responses of one group may be of several versions; the stale ones are dropped as it closes. */
  @Test
  void aGroupOfSeveralVersionsIsLearnedFromWithoutItsStaleResponses() throws Exception {
    List<ScoredRollout> all = new ArrayList<>();
    all.addAll(group(0, SAMPLES));
    all.add(rollout(2, 0, 0)); // Of version 0 when group 2 closes under version 2.
    all.addAll(group(1, SAMPLES));
    for (int prompt : new int[] {3, 4}) {
      for (int sample = 0; sample < SAMPLES; sample++) {
        all.add(rollout(prompt, sample, sample % 2)); // Two versions, neither of which is stale.
      }
    }
    all.addAll(List.of(rollout(2, 1, 1), rollout(2, 2, 2), rollout(2, 3, 1)));
    all.add(rollout(5, 0, 0));
    all.add(rollout(5, 1, 0));
    all.add(rollout(5, 2, 2));
    all.add(rollout(5, 3, 0)); // Three stale responses: the fourth is alone.
    all.addAll(group(6, SAMPLES).subList(0, 1));
    for (int sample = 0; sample < SAMPLES; sample++) {
      all.add(rollout(7, sample, 2));
    }
    try (Run run = new Run(config("versions", "rloo", "ppo.max-staleness=1"), null)) {
      run.feed(all).end();
      TreeMap<Long, Map<String, Double>> iterations = run.iterations();
      assertEquals(3, iterations.size());
      assertEquals(0.5, iterations.get(2L).get("stream/policy_lag_versions"));
      assertTrue(iterations.get(2L).get("stream/recomputed_share") > 0);
      assertEquals(4.0, iterations.get(2L).get("groups/size"));
      assertEquals(3.5, iterations.get(3L).get("groups/size"));
      assertEquals(8 + 8 + 7, run.count("learned"));
      // One of group 2, three of group 5, and the one of group 6 at the end.
      assertEquals(5, run.count("dropped/stale"));
      assertEquals(1, run.count("dropped/alone"));
    }
  }

  @Test
  void afterAnEarlyStopOpenGroupsAreCountedAsLate() throws Exception {
    String[] settings = {
      "ppo.publish-every=100", "ppo.held-out-share=0.2", "ppo.early-stop-patience=1"
    };
    try (Run run = new Run(config("early-stop", "rloo", settings), null)) {
      run.feed(interleaved(400)).end();
      assertEquals(List.of(1L), List.copyOf(run.published.keySet()));
      assertTrue(run.count("after-stop") > 0);
      assertEquals(
          run.count("rollouts"),
          run.count("learned")
              + run.count("held-out")
              + run.count("after-stop")
              + run.count("dropped/alone")
              + run.count("incomplete-batch"));
    }
  }

  /** A state with open groups, in the middle of a run. */
  private static OperatorSubtaskState state(String advantage, int rollouts) throws Exception {
    try (Run run = new Run(config("writer-" + advantage + rollouts, advantage), null)) {
      return run.feed(interleaved(10).subList(0, rollouts)).snapshot();
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"rloo to reinforce++", "reinforce++ to rloo", "rloo to grpo"})
  void anotherMethodWithoutACriticTakesTheStateOver(String change) throws Exception {
    List<String> methods = Stream.of(change.split(" to ")).toList();
    List<ScoredRollout> all = interleaved(10);
    for (int at : new int[] {3, 13, 22}) {
      String store = "reader-" + methods.getFirst() + methods.getLast() + at;
      try (Run run = new Run(config(store, methods.getLast()), state(methods.getFirst(), at))) {
        run.feed(all.subList(at, all.size())).end();
        assertEquals(all.size(), run.count("rollouts"));
        assertEquals(
            all.size(),
            run.count("learned")
                + run.count("incomplete-batch")
                + run.summary("ppo").getOrDefault("dropped/alone", 0.0));
      }
    }
  }

  @Test
  void aStateWithoutACriticIsNoStateOfAMethodWithOne() throws Exception {
    OperatorSubtaskState state;
    try (Run run = new Run(config("writer-trained", "rloo"), null)) {
      run.feed(interleaved(10).subList(0, 22));
      state = run.snapshot();
      long deadline = System.nanoTime() + Duration.ofSeconds(60).toNanos();
      while (run.published.isEmpty()) {
        assertTrue(System.nanoTime() < deadline, "no version was published");
        state = run.snapshot();
        run.collect();
      }
    }
    OperatorSubtaskState trained = state;
    MillraceConfig gae = config("gae", "gae");
    Throwable e = assertThrows(Exception.class, () -> new Run(gae, trained).end());
    StringBuilder messages = new StringBuilder();
    for (Throwable cause = e; cause != null; cause = cause.getCause()) {
      messages.append(cause.getMessage()).append('\n');
    }
    assertTrue(
        messages.toString().contains("ppo.advantage is gae, which has a critic"),
        messages::toString);
    // Before the first batch there is no critic in either.
    try (Run run = new Run(config("gae-early", "gae"), state("rloo", 3))) {
      run.end();
      assertEquals(3, run.count("rollouts"));
      assertEquals(3, run.count("incomplete-batch"));
    }
  }

  @Test
  void withdrawnResponsesLeaveOpenGroupsAndTheBatch() throws Exception {
    try (Run run = new Run(config("withdrawn", "rloo"), null)) {
      run.feed(group(1, SAMPLES)); // In the waiting batch.
      run.feed(group(2, 3)).feed(group(4, 2)); // In open groups.
      run.awaitState(state -> (long) state.get("consumed") == 9);
      assertTrue(run.stateText().contains("Hi 1") && run.stateText().contains("Hi 2"));
      run.withdraw(WithdrawnBy.ID, "p1");
      run.withdraw(WithdrawnBy.ID, "p2");
      assertFalse(run.stateText().contains("Hi 1") || run.stateText().contains("Hi 2"));
      run.dieAfter(group(3, 1));
      run.feed(group(4, SAMPLES).subList(2, SAMPLES)).feed(group(3, SAMPLES)).end();
      assertEquals(BATCH, run.count("learned"));
      assertEquals(0, run.count("dropped/alone"));
      assertEquals(0, run.count("groups/incomplete"));
      assertEquals(7L, run.accumulator("topics/rollouts/dropped/withdrawn"));
    }
  }
}
