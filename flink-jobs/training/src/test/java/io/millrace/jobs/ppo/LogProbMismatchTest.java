package io.millrace.jobs.ppo;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.millrace.schemas.FinishReason;
import io.millrace.schemas.Rollout;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Against {@code tests/fixtures/logprob_mismatch.py}. */
class LogProbMismatchTest {

  record Case(
      String name,
      List<ScoredRollout> rollouts,
      Map<String, Double> metrics,
      boolean otherSampler) {
    @Override
    public String toString() {
      return name;
    }
  }

  static Stream<Case> cases() throws IOException {
    ObjectMapper json = new ObjectMapper();
    try (InputStream in =
        LogProbMismatchTest.class.getResourceAsStream("/ppo/logprob-mismatch.json")) {
      return StreamSupport.stream(json.readTree(in).spliterator(), false)
          .map(
              node ->
                  new Case(
                      node.get("name").asText(),
                      StreamSupport.stream(node.get("rollouts").spliterator(), false)
                          .map(LogProbMismatchTest::rollout)
                          .toList(),
                      json.convertValue(
                          node.get("metrics"),
                          json.getTypeFactory()
                              .constructMapType(Map.class, String.class, Double.class)),
                      node.get("otherSampler").asBoolean()));
    }
  }

  private static ScoredRollout rollout(JsonNode node) {
    List<Float> recorded = new ArrayList<>();
    node.get("recorded").forEach(value -> recorded.add((float) value.asDouble()));
    float[] own = new float[node.get("own").size()];
    for (int t = 0; t < own.length; t++) {
      own[t] = (float) node.get("own").get(t).asDouble();
    }
    return rollout(recorded, own, node.get("gap").asDouble(), 1);
  }

  private static ScoredRollout rollout(List<Float> recorded, float[] own, double gap, float topP) {
    return new ScoredRollout(
        Rollout.newBuilder()
            .setRolloutId("p/0")
            .setPromptId("p")
            .setDialogue(List.of())
            .setPromptTokens(List.of(1))
            .setResponseTokens(recorded.stream().map(_ -> 2).toList())
            .setLogProbs(recorded)
            .setResponseText("")
            .setFinishReason(FinishReason.STOP)
            .setModel("policy")
            .setPolicyVersion(1)
            .setTemperature(1)
            .setTopP(topP)
            .build(),
        false,
        0,
        0,
        null,
        new float[recorded.size()],
        new float[0],
        new float[0],
        own,
        gap);
  }

  @ParameterizedTest
  @MethodSource("cases")
  void isThatOfTheFixture(Case expected) {
    LogProbMismatch mismatch = LogProbMismatch.of(expected.rollouts());
    Map<String, Double> metrics = mismatch.metrics(expected.rollouts().size());
    assertEquals(expected.metrics().keySet(), metrics.keySet());
    expected
        .metrics()
        .forEach(
            (name, value) ->
                assertEquals(value, metrics.get(name), 1e-9 * (1 + Math.abs(value)), name));
    assertEquals(expected.otherSampler(), mismatch.isOfAnotherSampler(0.1));
  }

  @Test
  void ownRolloutsAreNotMeasured() {
    List<ScoredRollout> own = List.of(rollout(List.of(-1f, -2f), new float[0], 0, 1));
    assertEquals(Map.of(), LogProbMismatch.of(own).metrics(1));
    assertEquals(0, LogProbMismatch.of(own).mean());
  }

  /** A nucleus leaves unlikely tokens out: the gap says so by itself. */
  @Test
  void theSurprisalGapIsThatOfWholeDistributions() {
    List<ScoredRollout> mixed =
        List.of(
            rollout(List.of(-1f), new float[] {-1}, 5, 0.9f),
            rollout(List.of(-1f, -1f), new float[] {-1, -1}, 0.5, 1));
    assertEquals(0.25, LogProbMismatch.of(mixed).surprisalGap());
    assertEquals(1, LogProbMismatch.of(mixed).surprisalDeviations());
  }
}
