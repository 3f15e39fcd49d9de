package io.millrace.tests.evaluation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.millrace.model.evaluation.LengthControl;
import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Length-controlled win rates against those that {@code tests/fixtures/length_control.py} found by
 * another method.
 */
class LengthControlFixtureTest {

  private static JsonNode fixture() throws IOException {
    try (InputStream in =
        LengthControlFixtureTest.class.getResourceAsStream("/evaluation/length_control.json")) {
      return new ObjectMapper().readTree(in);
    }
  }

  static Stream<String> names() throws IOException {
    return StreamSupport.stream(fixture().get("cases").spliterator(), false)
        .map(node -> node.get("name").asText());
  }

  private static JsonNode named(String name) throws IOException {
    return StreamSupport.stream(fixture().get("cases").spliterator(), false)
        .filter(node -> node.get("name").asText().equals(name))
        .findFirst()
        .orElseThrow();
  }

  private static LengthControl control(JsonNode node) {
    return new LengthControl(
        StreamSupport.stream(node.get("differences").spliterator(), false)
            .mapToInt(JsonNode::asInt)
            .toArray(),
        StreamSupport.stream(node.get("outcomes").spliterator(), false)
            .mapToInt(outcome -> (int) Math.round(2 * outcome.asDouble()))
            .toArray());
  }

  @ParameterizedTest
  @MethodSource("names")
  void winRatesAreThoseOfTheFixture(String name) throws IOException {
    JsonNode wanted = named(name);
    assertEquals(
        wanted.get("lengthControlled").asDouble(),
        control(wanted).winRate().orElseThrow(),
        1e-9,
        name);
  }

  @Test
  void lengthIsTakenOutOfTheWinRate() throws IOException {
    JsonNode longer = named("longer, and worse than it looks");
    assertTrue(longer.get("winRate").asDouble() > 0.5);
    assertTrue(control(longer).winRate().orElseThrow() < 0.5);
  }

  /** A policy that is swapped with the other has the rest of the rate. */
  @ParameterizedTest
  @MethodSource("names")
  void theOtherPolicyHasTheRest(String name) throws IOException {
    LengthControl one = control(named(name));
    LengthControl other =
        new LengthControl(
            Arrays.stream(one.differences()).map(d -> -d).toArray(),
            Arrays.stream(one.halfWins()).map(wins -> 2 - wins).toArray());
    assertEquals(1, one.winRate().orElseThrow() + other.winRate().orElseThrow(), 1e-9);
  }
}
