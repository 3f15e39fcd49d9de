package io.millrace.jobs.ppo;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.connectors.broker.EmbeddedBroker;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.jobs.config.ConfigException;
import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.InitialModel;
import io.millrace.jobs.models.ModelRef;
import io.millrace.jobs.models.PolicyModel;
import io.millrace.jobs.models.RewardModelPair;
import io.millrace.jobs.runtime.JobSettings;
import io.millrace.jobs.testkit.OperatorRun;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.CheckpointKind;
import io.millrace.model.checkpoint.CheckpointManifest;
import io.millrace.model.checkpoint.ModelWeights;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.llama.Targets;
import io.millrace.model.llama.TokenArrays;
import io.millrace.model.sampling.SamplingRequest;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Backends;
import io.millrace.schemas.FinishReason;
import io.millrace.schemas.Role;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.Turn;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.TreeMap;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * Which rollouts count as the policy's own samples, and which get proximal log-probs and importance
 * weights.
 */
@Timeout(120)
@SuppressWarnings("try") // Flink's harness may throw InterruptedException from close().
class OffPolicyTest {

  private static final long SEED = 11;
  private static final int BATCH = 8;
  private static final String SHARE = "stream/recomputed_share";

  @TempDir private static Path directory;
  private static EmbeddedBroker broker;
  private static Path rewardModel;

  @BeforeAll
  static void start() throws Exception {
    broker = EmbeddedBroker.start(directory.resolve("kafka"), 0);
    MillraceConfig config = config("start");
    try (TopicAdmin admin = new TopicAdmin(JobSettings.kafka(config))) {
      admin.createAll(1, 1);
    }
    rewardModel = directory.resolve("reward-model");
    try (Backend backend = Backends.openDefault();
        PolicyModel policy = PolicyModel.load(backend, config.model().initial());
        ScalarModel scalar =
            ScalarModel.onTrunkOf(backend, policy.model().config(), policy.model().weights())) {
      CheckpointDirectory.write(
          rewardModel,
          policy.model().config(),
          ModelWeights.sources(scalar.weights()),
          policy.tokenizer()::save,
          CheckpointManifest.describing(CheckpointKind.REWARD_MODEL, "reward", 1).build());
    }
  }

  @AfterAll
  static void stop() throws Exception {
    broker.close();
  }

  /** A configuration with a checkpoint store of its own. */
  private static MillraceConfig config(String store, String... settings) throws Exception {
    List<String> all =
        new ArrayList<>(
            List.of(
                "kafka.bootstrap-servers=" + broker.bootstrapServers(),
                "checkpoints.directory=" + directory.resolve(store),
                "model.seed=" + SEED,
                "ppo.batch-size=" + BATCH,
                "ppo.mini-batch-size=4",
                "ppo.score-batch-size=4",
                "ppo.epochs=2",
                "ppo.learning-rate=1e-3",
                "ppo.critic-learning-rate=1e-3",
                "ppo.max-staleness=1000000"));
    all.addAll(OperatorRun.TINY_MODEL);
    all.addAll(List.of(settings));
    return InitialModel.ensure(ConfigLoader.load(Optional.empty(), all));
  }

  /** How a sampler differs from this deployment's own. */
  private record Sampler(long seed, float error, long version) {}

  private static final Sampler OWN = new Sampler(SEED, 0, 0);

  /** Rollouts with the log-probs of the initial policy, up to the sampler's error. */
  private static List<ScoredRollout> rollouts(MillraceConfig config, int count, Sampler sampler)
      throws Exception {
    SplittableRandom random = new SplittableRandom(SEED);
    List<int[]> prompts = new ArrayList<>();
    List<int[]> sequences = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      prompts.add(random.ints(1 + random.nextInt(5), 0, 256).toArray());
      sequences.add(
          TokenArrays.join(prompts.get(i), random.ints(1 + random.nextInt(8), 0, 256).toArray()));
    }
    float[] logProbs;
    try (Backend backend = Backends.openDefault();
        PolicyModel policy = PolicyModel.load(backend, config.model().initial())) {
      Targets targets =
          Targets.from(sequences, prompts.stream().mapToInt(prompt -> prompt.length).toArray());
      logProbs = policy.model().infer(sequences, targets, 1).logProbs();
    }
    List<ScoredRollout> rollouts = new ArrayList<>();
    int at = 0;
    for (int i = 0; i < count; i++) {
      int[] response =
          Arrays.copyOfRange(sequences.get(i), prompts.get(i).length, sequences.get(i).length);
      float[] own = Arrays.copyOfRange(logProbs, at, at + response.length);
      at += response.length;
      List<Float> sampled = new ArrayList<>();
      for (float logProb : own) {
        sampled.add(logProb - sampler.error());
      }
      String id = "p" + i + "/0";
      Rollout rollout =
          Rollout.newBuilder()
              .setRolloutId(id)
              .setPromptId("p" + i)
              .setDialogue(List.of(new Turn(Role.USER, "Hi")))
              .setPromptTokens(Arrays.stream(prompts.get(i)).boxed().toList())
              .setResponseTokens(Arrays.stream(response).boxed().toList())
              .setLogProbs(sampled)
              .setResponseText("")
              .setFinishReason(FinishReason.STOP)
              .setModel("policy")
              .setPolicyVersion(sampler.version())
              .setTemperature(1)
              .setSeed(SamplingRequest.seed(sampler.seed(), id))
              .build();
      rollouts.add(
          new ScoredRollout(
              rollout,
              false,
              (float) random.nextGaussian(),
              0,
              new RewardModelPair(
                  new ModelRef(1, rewardModel.toString(), ""), new ModelRef(1, "", "")),
              own));
    }
    return rollouts;
  }

  private static final class Run extends OperatorRun<ScoredRollout> {
    Run(MillraceConfig config) throws Exception {
      super(() -> new PpoOperator(config), null);
    }

    /** The metrics of each iteration, by the last life that came to it. */
    TreeMap<Long, Map<String, Double>> byIteration() {
      TreeMap<Long, Map<String, Double>> byIteration = new TreeMap<>();
      metrics.forEach(metric -> byIteration.put(metric.getStep(), metric.getMetrics()));
      return byIteration;
    }

    double metric(long iteration, String name) {
      return byIteration().get(iteration).get(name);
    }
  }

  @Test
  void ownRolloutsOfTheWeightsAreOnPolicyAndThoseOfAnOlderVersionAreNot() throws Exception {
    MillraceConfig config = config("own");
    try (Run run = new Run(config)) {
      run.feed(rollouts(config, 2 * BATCH, OWN)).end();
      assertEquals(0, run.metric(1, SHARE));
      assertEquals(1, run.metric(1, "stream/effective_sample_share"));
      assertEquals(1, run.metric(2, SHARE));
      assertTrue(run.metric(2, "stream/effective_sample_share") < 1);
    }
  }

  /** The version stays the same while the weights move. */
  @Test
  void betweenTwoPublicationsNothingIsOnPolicy() throws Exception {
    MillraceConfig config = config("publish-every", "ppo.publish-every=3");
    try (Run run = new Run(config)) {
      run.feed(rollouts(config, 3 * BATCH, OWN)).end();
      assertEquals(0, run.metric(1, SHARE));
      for (long iteration = 2; iteration <= 3; iteration++) {
        assertEquals(0, run.metric(iteration, "stream/policy_lag_versions"));
        assertEquals(1, run.metric(iteration, SHARE));
      }
    }
  }

  @Test
  void rolloutsOfAnotherEngineAreOffPolicy() throws Exception {
    MillraceConfig config = config("engine");
    try (Run run = new Run(config)) {
      run.feed(rollouts(config, BATCH, new Sampler(SEED + 1, 0, 0))).end();
      assertEquals(1, run.metric(1, SHARE));
    }
  }

  /** As a sampler in bfloat16, under this deployment's seed. */
  @Test
  void logProbsThatDifferByMoreThanRoundingAreOffPolicy() throws Exception {
    MillraceConfig config = config("bfloat16");
    try (Run run = new Run(config)) {
      run.feed(rollouts(config, BATCH, new Sampler(SEED, 0.01f, 0))).end();
      assertEquals(1, run.metric(1, SHARE));
      assertEquals(0.01, run.metric(1, "val/log_prob_difference"), 1e-4);
      assertEquals(0, run.metric(1, "monitor/log_prob_alarm"));
      assertEquals(Math.exp(0.01), run.metric(1, "stream/importance_weight_max"), 1e-3);
    }
  }

  /** The store's latest version is another lineage's: the weights are those of model.initial. */
  @Test
  void aNewLineageOverAnOldStoreTakesNoRolloutOfTheOldOneForItsOwn() throws Exception {
    MillraceConfig config = config("lineage");
    try (Run old = new Run(config)) {
      old.feed(rollouts(config, 2 * BATCH, OWN)).end();
      assertEquals(List.of(1L, 2L), List.copyOf(old.published.keySet()));
    }
    try (Run run = new Run(config)) {
      List<ScoredRollout> mixed = new ArrayList<>(rollouts(config, BATCH / 2, OWN));
      // Far from the initial policy, as another lineage's samples are.
      mixed.addAll(rollouts(config, BATCH, new Sampler(SEED, 1, 2)).subList(BATCH / 2, BATCH));
      run.feed(mixed).end();
      assertEquals(0.5, run.metric(1, SHARE));
      assertTrue(run.metric(1, "val/log_prob_difference") < 1e-4);
      assertEquals(0, run.metric(1, "monitor/log_prob_alarm"), "no rollout names a wrong version");
      assertTrue(run.metric(1, "stream/importance_weight_max") > 2);
    }
  }

  private static final String[] OPTIONS = {
    "ppo.publish-every=2",
    "ppo.kl-in=loss",
    "ppo.kl-estimator=k2",
    "ppo.kl=0.1",
    "ppo.kl-target=0.5",
    "ppo.entropy-bonus=0.05",
    "ppo.max-update-kl=1e-4",
    "ppo.critic-warmup=2",
    "ppo.max-importance-weight=1.1"
  };

  @Test
  void aRunWithEveryOptionThatDiesAndResumesEndsInTheSameBits() throws Exception {
    MillraceConfig straightConfig = config("straight-options", OPTIONS);
    MillraceConfig killedConfig = config("killed-options", OPTIONS);
    List<ScoredRollout> all = rollouts(straightConfig, 6 * BATCH, OWN);
    try (Run straight = new Run(straightConfig);
        Run killed = new Run(killedConfig)) {
      straight.feed(all).end();
      int from = 0;
      for (int to : new int[] {3, BATCH + 2, 3 * BATCH + 1}) {
        killed.feed(all.subList(from, to));
        killed.dieAfter(all.subList(to, to + BATCH + 5));
        from = to;
      }
      killed.feed(all.subList(from, all.size())).end();
      assertEquals(List.of(1L, 2L, 3L), List.copyOf(straight.published.keySet()));
      assertEquals(straight.published, killed.published);
      assertEquals(straight.lineage, killed.lineage);
      assertEquals(straight.byIteration(), killed.byIteration());
      assertFalse(straight.byIteration().get(2L).containsKey("loss/policy_avg"), "warm-up");
      double stopped = straight.metric(6, "updates/stopped_total");
      assertTrue(stopped > 0, "updates must be left out, to show anything");
      assertEquals(stopped, straight.summary("ppo").get("updates/stopped_total"));
      assertEquals(
          stopped,
          straight.byIteration().values().stream()
              .mapToDouble(metrics -> metrics.get("updates/stopped"))
              .sum());
    }
  }

  @Test
  void placesWhereAnEstimatorIsWrongAreRefusedWithWhatToWrite() {
    String reward =
        assertThrows(ConfigException.class, () -> config("refused", "ppo.kl-estimator=k3"))
            .getMessage();
    assertTrue(
        reward.contains("kl-estimator must be k1 with kl-in reward, not k3")
            && reward.contains("Set kl-in to loss to keep it, or kl-estimator to k1"),
        reward);
    String loss =
        assertThrows(ConfigException.class, () -> config("refused", "ppo.kl-in=loss")).getMessage();
    assertTrue(loss.contains("Set kl-estimator to k2, or kl-in to reward"), loss);
  }
}
