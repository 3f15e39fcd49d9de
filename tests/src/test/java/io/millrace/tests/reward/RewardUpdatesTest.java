package io.millrace.tests.reward;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.llama.Parameters;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.reward.RewardModelTrainer;
import io.millrace.model.reward.RewardModelTrainer.Pair;
import io.millrace.model.tensor.AdamW;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Backends;
import io.millrace.model.training.LearningRate;
import java.io.IOException;
import java.io.InputStream;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Updates of reward models with one head and with several, on each backend, against float64 results
 * that {@code tests/fixtures/reward_updates.py} computed from formulas of its own: losses, scores,
 * disagreement, the first gradient, and every weight after the last update.
 */
class RewardUpdatesTest {

  /** Rounding of float32, which a few updates amplify. The optimizer does not hide a factor. */
  private static final double TOLERANCE = 2e-4;

  private static final JsonNode FIXTURE = fixture();

  private static JsonNode fixture() {
    try (InputStream in = RewardUpdatesTest.class.getResourceAsStream("/reward/updates.json")) {
      return new ObjectMapper().readTree(in);
    } catch (IOException e) {
      throw new ExceptionInInitializerError(e);
    }
  }

  private static Stream<JsonNode> items(JsonNode array) {
    return StreamSupport.stream(array.spliterator(), false);
  }

  static Stream<Arguments> cases() {
    return StreamSupport.stream(Backends.names().spliterator(), false)
        .sorted()
        .flatMap(
            backend ->
                items(FIXTURE.get("cases"))
                    .map(node -> Arguments.of(backend, node.get("name").asText())));
  }

  private static JsonNode named(String name) {
    return items(FIXTURE.get("cases"))
        .filter(node -> node.get("name").asText().equals(name))
        .findFirst()
        .orElseThrow();
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("cases")
  void updatesAreThoseOfTheFixture(String backendName, String name) {
    JsonNode expected = named(name);
    JsonNode o = expected.get("options");
    AdamW adamW =
        new AdamW(
            o.get("beta1").asDouble(),
            o.get("beta2").asDouble(),
            o.get("epsilon").asDouble(),
            o.get("weight_decay").asDouble(),
            o.get("max_norm").asDouble());
    try (Backend backend = Backends.named(backendName).open();
        RewardModelTrainer trainer = trainer(backend, o, adamW, o.get("lr").asDouble())) {
      int update = 0;
      for (JsonNode wanted : expected.get("updates")) {
        RewardModelTrainer.Step step = trainer.step(pairs(o), 1, 1);
        String where = name + ", update " + update;
        assertClose(where + " loss", wanted.get("loss"), step.loss());
        assertClose(where + " label loss", wanted.get("labelLoss"), step.labelLoss());
        assertClose(where + " norm", wanted.get("norm"), step.update().gradientNorm());
        assertAll(where + " preferred", wanted.get("preferred"), step.preferredScores());
        assertAll(where + " rejected", wanted.get("rejected"), step.rejectedScores());
        assertAll(where + " disagreement", wanted.get("disagreements"), step.disagreements());
        update++;
      }
      assertWeights(name, expected.get("model"), trainer.model().weights());
    }
  }

  /** With a huge ε = α AdamW's first step is nearly the gradient: g / (1 + |g| / ε). */
  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("cases")
  void gradientsAreThoseOfTheFixture(String backendName, String name) {
    JsonNode expected = named(name);
    JsonNode o = expected.get("options");
    double large = 1e5;
    try (Backend backend = Backends.named(backendName).open();
        RewardModelTrainer trainer = trainer(backend, o, new AdamW(0, 0, large, 0, 1e6), large)) {
      Parameters before = Parameters.zeros(backend, trainer.model().weights().specs());
      before.copyCommonFrom(trainer.model().weights());
      trainer.step(pairs(o), 1, 1);
      double largest = 0;
      for (Map.Entry<String, JsonNode> tensor : expected.get("firstGradients").properties()) {
        float[] start = before.get(tensor.getKey()).toFloats();
        float[] end = trainer.model().weights().get(tensor.getKey()).toFloats();
        assertEquals(tensor.getValue().size(), end.length);
        for (int i = 0; i < end.length; i++) {
          double wanted = tensor.getValue().get(i).asDouble();
          double step = wanted / (1 + Math.abs(wanted) / large);
          assertEquals(step, start[i] - end[i], 5e-6, tensor.getKey() + " " + i);
          largest = Math.max(largest, Math.abs(wanted));
        }
      }
      assertTrue(largest > 0.01, "a gradient of at most " + largest);
      before.close();
    }
  }

  /** An option that had no effect would pass with the values of another case. */
  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("cases")
  void noTwoCasesHaveTheSameEmbedding(String backend, String name) {
    JsonNode mine = named(name).get("model").get("model.embed_tokens.weight");
    for (JsonNode other : FIXTURE.get("cases")) {
      if (!other.get("name").asText().equals(name)) {
        JsonNode theirs = other.get("model").get("model.embed_tokens.weight");
        double largest =
            IntStream.range(0, mine.size())
                .mapToDouble(i -> Math.abs(mine.get(i).asDouble() - theirs.get(i).asDouble()))
                .max()
                .orElseThrow();
        assertTrue(largest > 20 * TOLERANCE, name + " and " + other.get("name") + ": " + largest);
      }
    }
  }

  private static List<Pair> pairs(JsonNode options) {
    boolean labels = options.get("labels").asBoolean();
    return items(FIXTURE.get("pairs"))
        .map(
            p ->
                new Pair(
                        tokens(p, "chosen"),
                        tokens(p, "rejected"),
                        p.get("margin").asDouble(),
                        labels ? label(p.get("chosenUnsafe")) : null,
                        labels ? label(p.get("rejectedUnsafe")) : null)
                    .withWeight(p.get("weight").asDouble())
                    .withDraw(p.get("draw").asLong()))
        .toList();
  }

  private static Boolean label(JsonNode node) {
    return node.isNull() ? null : (Boolean) node.asBoolean();
  }

  private static int[] tokens(JsonNode pair, String response) {
    return Stream.concat(items(pair.get("prompt")), items(pair.get(response)))
        .mapToInt(JsonNode::asInt)
        .toArray();
  }

  private static RewardModelTrainer trainer(
      Backend backend, JsonNode options, AdamW adamW, double learningRate) {
    int heads = options.get("heads").asInt();
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
            .scoreHeads(heads)
            .build();
    ScalarModel model = ScalarModel.zeros(backend, config);
    for (Map.Entry<String, JsonNode> tensor : FIXTURE.get("weights").properties()) {
      float[] floats = new float[Math.toIntExact(model.weights().get(tensor.getKey()).size())];
      for (int i = 0; i < floats.length; i++) {
        floats[i] = (float) tensor.getValue().get(i).asDouble();
      }
      model.weights().get(tensor.getKey()).write(floats);
    }
    return new RewardModelTrainer(
        backend,
        model,
        adamW,
        LearningRate.constant(learningRate),
        options.get("label_weight").asDouble());
  }

  private static void assertWeights(String what, JsonNode wanted, Parameters weights) {
    assertEquals(weights.specs().size(), wanted.size());
    for (Map.Entry<String, JsonNode> tensor : wanted.properties()) {
      assertAll(
          what + " " + tensor.getKey(), tensor.getValue(), weights.get(tensor.getKey()).toFloats());
    }
  }

  private static void assertAll(String what, JsonNode wanted, float[] actual) {
    assertEquals(wanted.size(), actual.length, what);
    for (int i = 0; i < actual.length; i++) {
      assertClose("%s [%d]".formatted(what, i), wanted.get(i), actual[i]);
    }
  }

  private static void assertClose(String what, JsonNode wanted, double actual) {
    double value = wanted.asDouble();
    assertEquals(value, actual, TOLERANCE * (1 + Math.abs(value)), what);
  }
}
