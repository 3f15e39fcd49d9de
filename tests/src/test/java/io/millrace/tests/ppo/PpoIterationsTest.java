package io.millrace.tests.ppo;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.llama.Parameters;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.parallel.Ranks;
import io.millrace.model.parallel.StarRanks;
import io.millrace.model.ppo.AdaptiveKl;
import io.millrace.model.ppo.AdvantageMethod;
import io.millrace.model.ppo.Advantages;
import io.millrace.model.ppo.ImportanceWeight;
import io.millrace.model.ppo.KlController;
import io.millrace.model.ppo.KlEstimator;
import io.millrace.model.ppo.KlPenalty;
import io.millrace.model.ppo.KlPlacement;
import io.millrace.model.ppo.LengthPenalty;
import io.millrace.model.ppo.PpoIteration;
import io.millrace.model.ppo.PpoObjective;
import io.millrace.model.ppo.PpoRollout;
import io.millrace.model.ppo.PpoSettings;
import io.millrace.model.ppo.PpoTrainer;
import io.millrace.model.ppo.RewardWhitening;
import io.millrace.model.reward.PiecewiseReward;
import io.millrace.model.tensor.AdamW;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Backends;
import io.millrace.model.training.LearningRate;
import java.io.IOException;
import java.io.InputStream;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Whole PPO iterations on each backend, with every method of advantages and every whitening, KL and
 * clip option, against float64 results that {@code tests/fixtures/ppo_iterations.py} computed from
 * formulas of its own: rewards, KL, every metric, and every weight of both models after the last
 * update.
 */
class PpoIterationsTest {

  /** Rounding of float32, which a few updates amplify. The optimizer does not hide a factor. */
  private static final double TOLERANCE = 1e-4;

  private static final Duration PATIENCE = Duration.ofSeconds(60);

  private static final JsonNode FIXTURE = fixture();

  private static JsonNode fixture() {
    try (InputStream in = PpoIterationsTest.class.getResourceAsStream("/ppo/iterations.json")) {
      return new ObjectMapper().readTree(in);
    } catch (IOException e) {
      throw new ExceptionInInitializerError(e);
    }
  }

  static Stream<Arguments> cases() {
    return StreamSupport.stream(Backends.names().spliterator(), false)
        .sorted()
        .flatMap(
            backend -> items(FIXTURE.get("cases")).map(node -> Arguments.of(backend, name(node))));
  }

  private static String name(JsonNode node) {
    return node.get("name").asText();
  }

  private static Stream<JsonNode> items(JsonNode array) {
    return StreamSupport.stream(array.spliterator(), false);
  }

  private static JsonNode caseOf(String name) {
    return items(FIXTURE.get("cases")).filter(node -> name(node).equals(name)).findFirst().get();
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("cases")
  void anIterationIsThatOfTheFixture(String backendName, String name) {
    assertFixture(backendName, name, Ranks.alone(), false);
  }

  /** Two ranks with a share of each mini-batch, and three with moments of a part of the weights. */
  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("cases")
  void anIterationOfSeveralRanksIsThatOfTheFixture(String backendName, String name)
      throws Exception {
    for (int size = 2; size <= 3; size++) {
      boolean sharded = size == 3;
      List<StarRanks> all = StarRanks.inThisProcess(size, PATIENCE);
      try (ExecutorService threads = Executors.newFixedThreadPool(size)) {
        List<Future<?>> running = new ArrayList<>();
        for (Ranks ranks : all) {
          running.add(threads.submit(() -> assertFixture(backendName, name, ranks, sharded)));
        }
        for (Future<?> rank : running) {
          rank.get(PATIENCE.toSeconds(), TimeUnit.SECONDS);
        }
      } finally {
        all.forEach(Ranks::close);
      }
    }
  }

  private static void assertFixture(String backendName, String name, Ranks ranks, boolean sharded) {
    JsonNode expected = caseOf(name);
    JsonNode options = expected.get("options");
    try (ranks;
        Backend backend = Backends.named(backendName).open();
        PpoTrainer trainer = trainer(backend, options, ranks, sharded)) {
      int iteration = 0;
      for (JsonNode wanted : expected.get("iterations")) {
        boolean offPolicy = options.get("off_policy").asBoolean();
        PpoIteration done = trainer.iterate(rollouts(offPolicy, offPolicy || iteration > 0));
        String where = name + ", iteration " + iteration;
        assertClose(where + " combined", wanted.get("combined"), done.combined());
        assertClose(where + " whitened", wanted.get("whitened"), done.whitened());
        assertClose(where + " kl", wanted.get("kl"), done.kl());
        assertMetrics(where, wanted.get("metrics"), done.metrics());
        iteration++;
      }
      assertWeights(name + " policy", expected.get("policy"), trainer.policy().weights());
      assertEquals(expected.has("critic"), trainer.hasCritic());
      if (trainer.hasCritic()) {
        assertWeights(name + " critic", expected.get("critic"), trainer.critic().weights());
      }
    }
  }

  /** An option that had no effect would pass with the values of another case. */
  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("cases")
  void noTwoCasesHaveTheSameWeights(String backend, String name) {
    JsonNode mine = caseOf(name).get("policy");
    for (JsonNode other : FIXTURE.get("cases")) {
      if (!name(other).equals(name)) {
        assertTrue(
            distance(mine, other.get("policy")) > 100 * TOLERANCE,
            () -> name + " and " + name(other) + " cannot be told apart");
      }
    }
  }

  private static double distance(JsonNode a, JsonNode b) {
    double largest = 0;
    for (Map.Entry<String, JsonNode> tensor : a.properties()) {
      JsonNode other = b.get(tensor.getKey());
      for (int i = 0; i < other.size(); i++) {
        largest =
            Math.max(
                largest, Math.abs(tensor.getValue().get(i).asDouble() - other.get(i).asDouble()));
      }
    }
    return largest;
  }

  private static void assertMetrics(String where, JsonNode wanted, Map<String, Double> metrics) {
    Map<String, Double> missing = new HashMap<>(metrics);
    for (Map.Entry<String, JsonNode> metric : wanted.properties()) {
      Double actual = missing.remove(metric.getKey());
      assertTrue(actual != null, where + " lacks " + metric.getKey());
      assertClose(where + " " + metric.getKey(), metric.getValue().asDouble(), actual);
    }
    // Counts of the batch and of the optimizer, which are not formulas.
    List.of("val/num_eos_tokens", "val/response_tokens", "policy/log_ratios_clamped", "lr")
        .forEach(missing::remove);
    assertEquals(Map.of(), missing, where + ": metrics that the fixture does not know");
  }

  private static void assertWeights(String what, JsonNode wanted, Parameters weights) {
    assertEquals(weights.specs().size(), wanted.size());
    for (Map.Entry<String, JsonNode> tensor : wanted.properties()) {
      float[] actual = weights.get(tensor.getKey()).toFloats();
      double[] values = new double[actual.length];
      for (int i = 0; i < values.length; i++) {
        values[i] = actual[i];
      }
      assertClose(what + " " + tensor.getKey(), tensor.getValue(), values);
    }
  }

  private static void assertClose(String what, JsonNode wanted, double[] actual) {
    assertEquals(wanted.size(), actual.length, what);
    for (int i = 0; i < actual.length; i++) {
      assertClose(what + "[" + i + "]", wanted.get(i).asDouble(), actual[i]);
    }
  }

  private static void assertClose(String what, double wanted, double actual) {
    assertEquals(wanted, actual, TOLERANCE * (1 + Math.abs(wanted)), what);
  }

  private static PpoTrainer trainer(Backend backend, JsonNode o, Ranks ranks, boolean sharded) {
    LlamaConfig config =
        LlamaConfig.builder()
            .vocabSize(11)
            .hiddenSize(8)
            .layers(1)
            .heads(2)
            .kvHeads(1)
            .headDim(4)
            .ffnSize(10)
            .maxPositions(16)
            .tiedHead(false)
            .bosToken(1)
            .eosToken(2)
            .build();
    LanguageModel policy = LanguageModel.random(backend, config, 1);
    write(FIXTURE.get("policy"), policy.weights());
    Advantages advantages = advantages(o);
    ScalarModel critic = null;
    if (advantages.method().hasCritic()) {
      critic = ScalarModel.onTrunkOf(backend, config, policy.weights());
      write(FIXTURE.get("critic"), critic.weights());
    }
    double weight = o.get("max_weight").asDouble();
    double maxUpdateKl = o.get("max_update_kl").asDouble();
    return new PpoTrainer(
        backend,
        policy,
        critic,
        PpoSettings.builder()
            .miniBatchSize(o.get("mini_batch").asInt())
            .epochs(o.get("epochs").asInt())
            .piecewise(new PiecewiseReward(o.get("threshold").asDouble()))
            .klPenalty(
                new KlPenalty(
                    KlEstimator.valueOf(o.get("estimator").asText()),
                    KlPlacement.valueOf(o.get("kl_in").asText()),
                    o.get("truncation_penalty").asDouble()))
            .lengthPenalty(
                new LengthPenalty(o.get("length_penalty").asDouble(), o.get("length_free").asInt()))
            .whitening(RewardWhitening.valueOf(o.get("whitening").asText()))
            .advantages(advantages)
            .objective(objective(o))
            .importanceWeight(o.get("decoupled").asBoolean() ? new ImportanceWeight(weight) : null)
            .entropyBonus(o.get("entropy_bonus").asDouble())
            .maxUpdateKl(maxUpdateKl > 0 ? maxUpdateKl : Double.POSITIVE_INFINITY)
            .criticWarmup(o.get("critic_warmup").asLong())
            .maxSkippedUpdates(1)
            .temperature((float) FIXTURE.get("temperature").asDouble())
            .seed(o.get("seed").asLong())
            .adamW(
                new AdamW(
                    o.get("beta1").asDouble(),
                    o.get("beta2").asDouble(),
                    o.get("epsilon").asDouble(),
                    o.get("weight_decay").asDouble(),
                    o.get("max_norm").asDouble()))
            .learningRate(LearningRate.constant(o.get("lr").asDouble()))
            .criticLearningRate(LearningRate.constant(o.get("critic_lr").asDouble()))
            .build(),
        controller(o),
        ranks,
        sharded);
  }

  private static Advantages advantages(JsonNode o) {
    return new Advantages(
        Stream.of(AdvantageMethod.values())
            .filter(method -> method.toString().equals(o.get("advantage").asText()))
            .findFirst()
            .orElseThrow(),
        o.get("gamma").asDouble(),
        o.get("lam").asDouble(),
        o.get("group_deviation").asBoolean());
  }

  private static PpoObjective objective(JsonNode o) {
    double clip = o.get("clip").asDouble();
    double clipHigh = o.get("clip_high").asDouble();
    double dualClip = o.get("dual_clip").asDouble();
    return new PpoObjective(
        clip,
        clipHigh > 0 ? clipHigh : clip,
        dualClip > 0 ? dualClip : Double.POSITIVE_INFINITY,
        PpoObjective.ClipLevel.valueOf(o.get("clip_level").asText()),
        PpoObjective.LossMean.valueOf(o.get("loss_mean").asText()),
        o.get("value_clip").asDouble());
  }

  private static KlController controller(JsonNode o) {
    double beta = o.get("beta").asDouble();
    double target = o.get("kl_target").asDouble();
    return target > 0
        ? KlController.adaptive(new AdaptiveKl.Settings(beta, target, o.get("kl_horizon").asLong()))
        : KlController.fixed(beta);
  }

  private static void write(JsonNode values, Parameters weights) {
    for (Map.Entry<String, JsonNode> tensor : values.properties()) {
      weights.get(tensor.getKey()).write(floats(tensor.getValue()));
    }
  }

  private static List<PpoRollout> rollouts(boolean otherSampler, boolean offPolicy) {
    List<PpoRollout> rollouts = new ArrayList<>();
    for (JsonNode r : FIXTURE.get("rollouts")) {
      rollouts.add(
          new PpoRollout(
              r.get("id").asText(),
              ints(r.get("prompt")),
              ints(r.get("response")),
              floats(r.get(otherSampler ? "offPolicyLogProbs" : "logProbs")),
              floats(r.get("referenceLogProbs")),
              (float) r.get("helpfulness").asDouble(),
              (float) r.get("safety").asDouble(),
              r.get("isSafety").asBoolean(),
              r.get("truncated").asBoolean(),
              offPolicy));
    }
    return rollouts;
  }

  private static float[] floats(JsonNode array) {
    float[] floats = new float[array.size()];
    for (int i = 0; i < floats.length; i++) {
      floats[i] = (float) array.get(i).asDouble();
    }
    return floats;
  }

  private static int[] ints(JsonNode array) {
    return items(array).mapToInt(JsonNode::asInt).toArray();
  }
}
