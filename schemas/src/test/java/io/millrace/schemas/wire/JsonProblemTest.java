package io.millrace.schemas.wire;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.MapperFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class JsonProblemTest {

  private static final ObjectMapper JSON =
      JsonMapper.builder()
          .enable(
              DeserializationFeature.FAIL_ON_MISSING_CREATOR_PROPERTIES,
              DeserializationFeature.FAIL_ON_NULL_CREATOR_PROPERTIES,
              DeserializationFeature.FAIL_ON_NULL_FOR_PRIMITIVES)
          .disable(MapperFeature.ALLOW_COERCION_OF_SCALARS)
          .build();

  record Run(List<Stage> stages, Map<String, Double> metrics) {}

  record Stage(String name, int version) {
    Stage {
      if (version < 0) {
        throw new IllegalArgumentException(
            "version is %d but must be 0 or more".formatted(version));
      }
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{\"metrics\":{}} | stages is missing",
        "{\"stages\":null,\"metrics\":{}} | stages is null",
        "{\"stages\":[{\"name\":\"a\",\"version\":1},{\"version\":1}]} | stages[1].name is missing",
        "{\"stages\":[{\"name\":\"a\",\"version\":null}]} | stages[0].version is null",
        "{\"stages\":[{\"name\":\"a\",\"version\":-1}]}"
            + " | stages[0]: version is -1 but must be 0 or more",
        "{\"stages\":[{\"name\":\"a\",\"version\":\"1\"}]}"
            + " | stages[0].version: Cannot coerce String value (\"1\") to `int` value",
        "{\"metrics\":{\"kl\":[]}} | metrics.kl: Cannot deserialize value of type"
            + " `java.lang.Double` from Array value",
        "[1 | Cannot deserialize value of type"
            + " `io.millrace.schemas.wire.JsonProblemTest$Run` from Array value",
        "`` | No content to map due to end-of-input",
      })
  void theFieldComesFirst(String json, String problem) {
    JsonProcessingException e =
        assertThrows(JsonProcessingException.class, () -> JSON.readValue(json, Run.class));
    assertEquals(problem, JsonProblem.of(e));
  }
}
