package io.millrace.tests.preference;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.llama.Parameters;
import io.millrace.model.preference.PreferenceSettings;
import io.millrace.model.preference.PreferenceTrainer;
import io.millrace.model.preference.PreferenceTrainer.Label;
import io.millrace.model.preference.PreferenceTrainer.Pair;
import io.millrace.model.preference.Response;
import io.millrace.model.preference.ResponseLogProbs;
import io.millrace.model.tensor.AdamW;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Backends;
import io.millrace.model.training.LearningRate;
import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Updates by DPO, IPO and KTO on each backend, against float64 results that {@code
 * tests/fixtures/preference_updates.py} computed from formulas of its own: losses, log-ratios,
 * reference points, gradient norms, and every weight after the last update.
 */
class PreferenceUpdatesTest {

  /** Rounding of float32, which a few updates amplify. The optimizer does not hide a factor. */
  private static final double TOLERANCE = 2e-4;

  private static final JsonNode FIXTURE = fixture();

  private static JsonNode fixture() {
    try (InputStream in =
        PreferenceUpdatesTest.class.getResourceAsStream("/preference/updates.json")) {
      return new ObjectMapper().readTree(in);
    } catch (IOException e) {
      throw new ExceptionInInitializerError(e);
    }
  }

  private static Stream<JsonNode> items(JsonNode array) {
    return StreamSupport.stream(array.spliterator(), false);
  }

  private static Stream<String> backends() {
    return StreamSupport.stream(Backends.names().spliterator(), false).sorted();
  }

  static Stream<Arguments> cases() {
    return backends()
        .flatMap(
            backend ->
                items(FIXTURE.get("cases"))
                    .map(node -> Arguments.of(backend, node.get("name").asText())));
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("cases")
  void updatesAreThoseOfTheFixture(String backendName, String name) {
    JsonNode expected =
        items(FIXTURE.get("cases"))
            .filter(node -> node.get("name").asText().equals(name))
            .findFirst()
            .orElseThrow();
    JsonNode options = expected.get("options");
    try (Backend backend = Backends.named(backendName).open();
        PreferenceTrainer trainer = trainer(backend, options)) {
      int update = 0;
      for (JsonNode wanted : expected.get("updates")) {
        PreferenceTrainer.Step step = step(trainer, options);
        String where = name + ", update " + update;
        assertClose(where + " loss", wanted.get("loss"), step.loss());
        assertClose(where + " norm", wanted.get("norm"), step.update().gradientNorm());
        assertClose(
            where + " reference point", wanted.get("referencePoint"), step.referencePoint());
        double[] references = references(trainerOfPairs(options));
        for (int i = 0; i < references.length; i++) {
          assertClose(
              where + " log-ratio " + i,
              wanted.get("logRatios").get(i),
              step.logProbs()[i] - references[i]);
        }
        update++;
      }
      assertWeights(name, expected.get("policy"), trainer.model().weights());
    }
  }

  /** An option that had no effect would pass with the values of another case. */
  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("cases")
  void noTwoCasesHaveTheSameWeights(String backend, String name) {
    List<JsonNode> cases = items(FIXTURE.get("cases")).toList();
    JsonNode mine =
        cases.stream().filter(c -> c.get("name").asText().equals(name)).findFirst().orElseThrow();
    for (JsonNode other : cases) {
      if (!other.equals(mine)) {
        double largest = 0;
        for (Map.Entry<String, JsonNode> tensor : mine.get("policy").properties()) {
          JsonNode theirs = other.get("policy").get(tensor.getKey());
          for (int i = 0; i < theirs.size(); i++) {
            double difference = tensor.getValue().get(i).asDouble() - theirs.get(i).asDouble();
            largest = Math.max(largest, Math.abs(difference));
          }
        }
        assertTrue(
            largest > 50 * TOLERANCE,
            () -> name + " and " + other.get("name") + " cannot be told apart");
      }
    }
  }

  /** Millrace computes the same reference log-probs as the fixture. */
  @ParameterizedTest
  @MethodSource("backends")
  void referenceLogProbsAreThoseOfTheFixture(String backendName) {
    try (Backend backend = Backends.named(backendName).open();
        LanguageModel reference = model(backend, FIXTURE.get("reference"))) {
      List<Response> responses =
          items(FIXTURE.get("pairs"))
              .flatMap(p -> Stream.of(response(p, "chosen"), response(p, "rejected")))
              .toList();
      double[] logProbs = ResponseLogProbs.of(reference, responses);
      double[] wanted = references(true);
      for (int i = 0; i < wanted.length; i++) {
        assertEquals(wanted[i], logProbs[i], TOLERANCE, "log π_0 of response " + i);
      }
    }
  }

  private static boolean trainerOfPairs(JsonNode options) {
    return !options.get("loss").asText().equals("KTO");
  }

  private static double[] references(boolean ofPairs) {
    return ofPairs
        ? items(FIXTURE.get("pairs"))
            .flatMap(p -> Stream.of(p.get("chosenReference"), p.get("rejectedReference")))
            .mapToDouble(JsonNode::asDouble)
            .toArray()
        : items(FIXTURE.get("labels")).mapToDouble(l -> l.get("reference").asDouble()).toArray();
  }

  private static PreferenceTrainer.Step step(PreferenceTrainer trainer, JsonNode options) {
    if (trainerOfPairs(options)) {
      boolean margins = options.get("margins").asBoolean();
      return trainer.stepPairs(items(FIXTURE.get("pairs")).map(p -> pair(p, margins)).toList(), 1);
    }
    List<Label> labels =
        items(FIXTURE.get("labels"))
            .map(
                l ->
                    new Label(
                        response(l, "response"),
                        l.get("desirable").asBoolean(),
                        l.get("reference").asDouble()))
            .toList();
    double shift = options.get("shift").asDouble();
    return trainer.stepLabels(
        labels,
        PreferenceTrainer.mismatched(labels, 16),
        items(FIXTURE.get("labels"))
            .mapToDouble(l -> l.get("mismatchedReference").asDouble() + shift)
            .toArray(),
        1);
  }

  private static Pair pair(JsonNode p, boolean margins) {
    return new Pair(
        response(p, "chosen"),
        response(p, "rejected"),
        margins ? p.get("margin").asDouble() : 0,
        p.get("chosenReference").asDouble(),
        p.get("rejectedReference").asDouble());
  }

  private static Response response(JsonNode record, String key) {
    return Response.of(ints(record.get("prompt")), ints(record.get(key)));
  }

  private static int[] ints(JsonNode array) {
    return items(array).mapToInt(JsonNode::asInt).toArray();
  }

  private static LanguageModel model(Backend backend, JsonNode weights) {
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
    LanguageModel model = LanguageModel.random(backend, config, 1);
    for (Map.Entry<String, JsonNode> tensor : weights.properties()) {
      double[] values = items(tensor.getValue()).mapToDouble(JsonNode::asDouble).toArray();
      float[] floats = new float[values.length];
      for (int i = 0; i < floats.length; i++) {
        floats[i] = (float) values[i];
      }
      model.weights().get(tensor.getKey()).write(floats);
    }
    return model;
  }

  private static PreferenceTrainer trainer(Backend backend, JsonNode o) {
    return new PreferenceTrainer(
        backend,
        model(backend, FIXTURE.get("weights")),
        new AdamW(
            o.get("beta1").asDouble(),
            o.get("beta2").asDouble(),
            o.get("epsilon").asDouble(),
            o.get("weight_decay").asDouble(),
            o.get("max_norm").asDouble()),
        LearningRate.constant(o.get("lr").asDouble()),
        new PreferenceSettings(
            PreferenceSettings.Loss.valueOf(o.get("loss").asText()),
            o.get("beta").asDouble(),
            o.get("smoothing").asDouble(),
            o.get("lambda_d").asDouble(),
            o.get("lambda_u").asDouble()));
  }

  private static void assertWeights(String what, JsonNode wanted, Parameters weights) {
    assertEquals(weights.specs().size(), wanted.size());
    for (Map.Entry<String, JsonNode> tensor : wanted.properties()) {
      float[] actual = weights.get(tensor.getKey()).toFloats();
      assertEquals(tensor.getValue().size(), actual.length, Arrays.toString(actual));
      for (int i = 0; i < actual.length; i++) {
        assertClose(
            "%s %s[%d]".formatted(what, tensor.getKey(), i), tensor.getValue().get(i), actual[i]);
      }
    }
  }

  private static void assertClose(String what, JsonNode wanted, double actual) {
    double value = wanted.asDouble();
    assertEquals(value, actual, TOLERANCE * (1 + Math.abs(value)), what);
  }
}
