package io.millrace.jobs.ppo;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.connectors.broker.EmbeddedBroker;
import io.millrace.connectors.flink.decode.Totals;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.InitialModel;
import io.millrace.jobs.models.PolicyModel;
import io.millrace.jobs.rollout.RolloutSection;
import io.millrace.jobs.runtime.JobSettings;
import io.millrace.jobs.testkit.OperatorRun;
import io.millrace.jobs.testkit.TestModels;
import io.millrace.jobs.testkit.TwoInputRun;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.CheckpointKind;
import io.millrace.model.checkpoint.CheckpointManifest;
import io.millrace.model.checkpoint.ModelWeights;
import io.millrace.model.llama.Parameters;
import io.millrace.model.llama.Targets;
import io.millrace.model.llama.TokenArrays;
import io.millrace.model.sampling.EngineSettings;
import io.millrace.model.sampling.SampledResponse;
import io.millrace.model.sampling.SamplingEngine;
import io.millrace.model.sampling.SamplingOptions;
import io.millrace.model.sampling.SamplingRequest;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Backends;
import io.millrace.model.tensor.Tensor;
import io.millrace.schemas.FinishReason;
import io.millrace.schemas.RewardCheckpoint;
import io.millrace.schemas.Role;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.Topic;
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
 * Rollouts of engines that are not this deployment's, from scoring to learning. The engines sample
 * a policy with sharp distributions, as a trained one has: a temperature changes them.
 */
@Timeout(120)
@SuppressWarnings("try") // Flink's harness may throw InterruptedException from close().
class OtherEnginesTest {

  private static final long SEED = 11;
  private static final int BATCH = 32;

  /** Tokens of a prompt. */
  private static final int PROMPT = 4;

  @TempDir private static Path directory;
  private static EmbeddedBroker broker;
  private static Path policy;
  private static List<RewardCheckpoint> rewardModels;

  @BeforeAll
  static void start() throws Exception {
    broker = EmbeddedBroker.start(directory.resolve("kafka"), 0);
    MillraceConfig config = config("start", "");
    try (TopicAdmin admin = new TopicAdmin(JobSettings.kafka(config))) {
      admin.createAll(1, 1);
    }
    rewardModels =
        TestModels.rewardModels(Path.of(config.model().initial()), directory.resolve("rewards"));
    policy = sharp(Path.of(config.model().initial()), directory.resolve("sharp"), 0, SEED);
  }

  @AfterAll
  static void stop() throws Exception {
    broker.close();
  }

  /** A policy of random weights whose logits are far apart. */
  private static Path sharp(Path like, Path target, long version, long seed) throws Exception {
    try (Backend backend = Backends.openDefault();
        PolicyModel shape = PolicyModel.load(backend, like.toString());
        Parameters weights =
            Parameters.random(backend, shape.model().config().parameters(), seed)) {
      Tensor gains = weights.get("model.norm.weight");
      float[] values = gains.toFloats();
      for (int i = 0; i < values.length; i++) {
        values[i] *= 40;
      }
      gains.write(values);
      CheckpointDirectory.write(
          target,
          shape.model().config(),
          ModelWeights.sources(weights),
          shape.tokenizer()::save,
          CheckpointManifest.describing(CheckpointKind.POLICY, "policy", version).build());
    }
    return target;
  }

  private static MillraceConfig config(String store, String initial, String... settings)
      throws Exception {
    List<String> all =
        new ArrayList<>(
            List.of(
                "kafka.bootstrap-servers=" + broker.bootstrapServers(),
                "checkpoints.directory=" + directory.resolve(store),
                "model.seed=" + SEED,
                "model.initial=" + initial,
                "ppo.batch-size=" + BATCH,
                "ppo.mini-batch-size=16",
                "ppo.score-batch-size=16",
                "ppo.learning-rate=1e-4"));
    all.addAll(OperatorRun.TINY_MODEL);
    all.addAll(List.of(settings));
    return InitialModel.ensure(ConfigLoader.load(Optional.empty(), all));
  }

  /**
   * An engine.
   *
   * @param samples temperature of its samples
   * @param records temperature of the log-probs that it records
   * @param error of its log-probs
   */
  private record Engine(float samples, float records, float error) {

    /** Rollouts [from, to) by some weights; each has its own prompt. */
    List<Rollout> rollouts(MillraceConfig config, Path weights, int from, int to) throws Exception {
      List<SamplingRequest> requests = new ArrayList<>();
      for (int i = from; i < to; i++) {
        int[] prompt = new SplittableRandom(i).ints(PROMPT, 0, 256).toArray();
        requests.add(SamplingRequest.single(prompt, i, new SamplingOptions(12, samples, 1)));
      }
      List<Rollout> rollouts = new ArrayList<>();
      try (Backend backend = Backends.openDefault();
          PolicyModel model = PolicyModel.load(backend, weights.toString());
          SamplingEngine engine = new SamplingEngine(model.model(), EngineSettings.of(16, 32))) {
        for (SampledResponse response : engine.sampleAll(requests)) {
          List<Float> logProbs = new ArrayList<>();
          for (float logProb :
              logProbs(model, response.request().prompt(), response.tokens(), records)) {
            logProbs.add(Math.min(0, logProb) - error);
          }
          String prompt = "p" + (from + rollouts.size());
          rollouts.add(
              Rollout.newBuilder()
                  .setRolloutId(prompt + "/0")
                  .setPromptId(prompt)
                  .setDialogue(List.of(new Turn(Role.USER, "Hi " + prompt)))
                  .setPromptTokens(Arrays.stream(response.request().prompt()).boxed().toList())
                  .setResponseTokens(Arrays.stream(response.tokens()).boxed().toList())
                  .setLogProbs(logProbs)
                  .setResponseText("")
                  .setFinishReason(FinishReason.LENGTH)
                  .setModel("policy")
                  .setPolicyVersion(model.version())
                  .setTemperature(temperature(config))
                  .setSeed(SamplingRequest.seed(SEED, prompt + "/0"))
                  .setEngine("vllm")
                  .build());
        }
      }
      return rollouts;
    }
  }

  private static float temperature(MillraceConfig config) {
    return (float) config.section(RolloutSection.class).temperature();
  }

  private static float[] logProbs(
      PolicyModel model, int[] prompt, int[] response, float temperature) {
    List<int[]> sequence = List.of(TokenArrays.join(prompt, response));
    return model
        .model()
        .infer(sequence, Targets.from(sequence, new int[] {prompt.length}), temperature)
        .logProbs();
  }

  private static List<ScoredRollout> score(MillraceConfig config, List<Rollout> rollouts)
      throws Exception {
    try (TwoInputRun<Rollout, RewardCheckpoint, ScoredRollout> run =
        TwoInputRun.of(() -> new ScoreOperator(config, false), null)) {
      return run.announce(rewardModels).feed(rollouts).end().output();
    }
  }

  private static final class Run extends OperatorRun<ScoredRollout> {
    Run(MillraceConfig config) throws Exception {
      super(() -> new PpoOperator(config), null);
    }

    TreeMap<Long, Map<String, Double>> byIteration() {
      TreeMap<Long, Map<String, Double>> byIteration = new TreeMap<>();
      metrics.forEach(metric -> byIteration.put(metric.getStep(), metric.getMetrics()));
      return byIteration;
    }

    Object dropped(String reason) {
      return accumulator(Totals.prefix(Topic.ROLLOUTS) + Totals.DROPPED + reason);
    }
  }

  /** What the trainer makes of an engine's rollouts. */
  private static Run learned(MillraceConfig config, Engine engine, int count) throws Exception {
    Run run = new Run(config);
    run.feed(score(config, engine.rollouts(config, policy, 0, count))).end();
    return run;
  }

  @Test
  void eachRolloutIsMeasuredWithTheWeightsThatSampledIt() throws Exception {
    MillraceConfig config = config("versions", policy.toString(), "rollout.temperature=0.7");
    Path second = sharp(policy, directory.resolve("versions/policy/v000002"), 2, SEED + 1);
    Engine engine = new Engine(0.7f, 0.7f, 0);
    List<Rollout> rollouts = new ArrayList<>();
    for (int i = 0; i < 16; i++) {
      rollouts.addAll(engine.rollouts(config, i % 2 == 0 ? policy : second, i, i + 1));
    }
    Rollout own = Rollout.newBuilder(rollouts.get(0)).setEngine("").build();
    Rollout retired = Rollout.newBuilder(rollouts.get(1)).setPolicyVersion(1).build();
    rollouts.addAll(List.of(own, retired));
    List<ScoredRollout> scored = score(config, rollouts);
    try (Backend backend = Backends.openDefault();
        PolicyModel zero = PolicyModel.load(backend, policy.toString());
        PolicyModel two = PolicyModel.load(backend, second.toString())) {
      for (int i = 0; i < 16; i++) {
        assertArrayEquals(
            logProbs(
                i % 2 == 0 ? zero : two,
                ScoredRollout.ints(rollouts.get(i).getPromptTokens()),
                ScoredRollout.ints(rollouts.get(i).getResponseTokens()),
                0.7f),
            scored.get(i).samplerLogProbs(),
            1e-5f);
        assertTrue(scored.get(i).surprisalGap() != 0);
      }
    }
    assertFalse(scored.get(16).isMeasured(), "own");
    assertFalse(scored.get(17).isMeasured(), "of a version that is gone");
    MillraceConfig trusting = config("versions", policy.toString(), "ppo.rollout-log-probs=trust");
    assertFalse(score(trusting, rollouts).stream().anyMatch(ScoredRollout::isMeasured));
  }

  @Test
  void anExactEngineIsLearnedFromWithoutAWeight() throws Exception {
    MillraceConfig config = config("exact", policy.toString(), "rollout.temperature=0.7");
    try (Run run = learned(config, new Engine(0.7f, 0.7f, 0), BATCH)) {
      Map<String, Double> metrics = run.byIteration().get(1L);
      assertEquals(1, metrics.get("rollout/logprob_measured_share"));
      assertTrue(metrics.get("rollout/logprob_mismatch_max") < 1e-3, metrics.toString());
      assertTrue(Math.abs(metrics.get("rollout/logprob_mismatch_kl")) < 1e-6, metrics.toString());
      assertTrue(Math.abs(metrics.get("rollout/surprisal_deviations")) < 4, metrics.toString());
      assertEquals(1, metrics.get("stream/importance_weight_avg"), 1e-3);
      assertEquals(1, metrics.get("stream/recomputed_share"));
      assertEquals(0L, run.dropped("logprob-mismatch"));
    }
  }

  /** The clip is around the trainer's log-probs, and weights are by the recorded ones. */
  @Test
  void anEngineOfLowPrecisionIsCorrectedByWeights() throws Exception {
    MillraceConfig config = config("bfloat16", policy.toString(), "ppo.max-importance-weight=1.04");
    try (Run run = learned(config, new Engine(1, 1, 0.05f), BATCH)) {
      Map<String, Double> metrics = run.byIteration().get(1L);
      assertEquals(0.05, metrics.get("rollout/logprob_mismatch"), 1e-3);
      assertEquals(Math.exp(0.05) - 1.05, metrics.get("rollout/logprob_mismatch_kl"), 1e-4);
      assertEquals(Math.exp(0.05), metrics.get("stream/importance_weight_max"), 1e-3);
      assertEquals(1.04, metrics.get("stream/importance_weight_avg"), 1e-3);
    }
  }

  @Test
  void logProbsOfAnotherTemperatureAreRefused() throws Exception {
    MillraceConfig config = config("raw", policy.toString(), "rollout.temperature=0.7");
    try (Run run = learned(config, new Engine(0.7f, 1, 0), 2 * BATCH)) {
      assertTrue((Long) run.dropped("logprob-mismatch") > BATCH, "most");
      assertTrue(run.published.isEmpty());
      assertEquals(
          (double) (Long) run.dropped("logprob-mismatch"),
          run.summary("ppo").get("dropped/logprob-mismatch"));
    }
    MillraceConfig lenient =
        config(
            "lenient", policy.toString(), "rollout.temperature=0.7", "ppo.max-log-prob-mismatch=0");
    try (Run run = learned(lenient, new Engine(0.7f, 1, 0), BATCH)) {
      assertTrue(run.byIteration().get(1L).get("rollout/logprob_mismatch") > 0.1);
      assertEquals(List.of(1L), List.copyOf(run.published.keySet()));
    }
  }

  /** Its log-probs are the policy's own, but its tokens are not samples of the policy. */
  @Test
  void samplesOfAnotherTemperatureAreRefusedAlthoughTheirLogProbsAreRight() throws Exception {
    MillraceConfig config = config("cold", policy.toString());
    try (Run run = learned(config, new Engine(0.7f, 1, 0), 2 * BATCH)) {
      assertEquals(2L * BATCH, run.dropped("other-sampler"));
      assertEquals(0L, run.dropped("logprob-mismatch"));
      assertTrue(run.published.isEmpty());
    }
  }

  /** The rollouts of two engines mixed. Those of one are dropped. */
  @Test
  void aRunThatDropsAndDiesEndsInTheSameBits() throws Exception {
    List<ScoredRollout> all = new ArrayList<>();
    MillraceConfig straightConfig = config("straight", policy.toString());
    MillraceConfig killedConfig = config("killed", policy.toString());
    List<Rollout> good = new Engine(1, 1, 0.01f).rollouts(straightConfig, policy, 0, 3 * BATCH + 9);
    List<Rollout> bad = new Engine(1, 2, 0).rollouts(straightConfig, policy, 500, 500 + BATCH);
    List<Rollout> mixed = new ArrayList<>(good);
    for (int i = 0; i < bad.size(); i++) {
      mixed.add(3 * i, bad.get(i));
    }
    all.addAll(score(straightConfig, mixed));
    try (Run straight = new Run(straightConfig);
        Run killed = new Run(killedConfig)) {
      straight.feed(all).end();
      int from = 0;
      for (int to : new int[] {7, BATCH + 20, 3 * BATCH}) {
        killed.feed(all.subList(from, to));
        killed.dieAfter(all.subList(to, to + 20));
        from = to;
      }
      killed.feed(all.subList(from, all.size())).end();
      assertTrue((Long) straight.dropped("logprob-mismatch") > 5);
      assertEquals(straight.dropped("logprob-mismatch"), killed.dropped("logprob-mismatch"));
      assertTrue(straight.published.size() >= 3);
      assertEquals(straight.published, killed.published);
      assertEquals(straight.lineage, killed.lineage);
      assertEquals(straight.byIteration(), killed.byIteration());
    }
  }
}
