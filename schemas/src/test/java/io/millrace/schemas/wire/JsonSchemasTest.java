package io.millrace.schemas.wire;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.schemas.Examples;
import io.millrace.schemas.Topic;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import java.util.function.Predicate;
import java.util.stream.StreamSupport;
import org.apache.avro.Schema;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class JsonSchemasTest {
  private static final ObjectMapper JSON = new ObjectMapper();

  /** Validates by the keywords that the schemas have. */
  private record Validator(JsonNode root) {
    boolean accepts(JsonNode value) {
      return accepts(root, value);
    }

    private boolean accepts(JsonNode schema, JsonNode value) {
      if (schema.has("$ref")) {
        String[] path = schema.path("$ref").asText().split("/");
        return accepts(root.path("$defs").path(path[path.length - 1]), value);
      }
      if (schema.has("anyOf")) {
        return any(schema.path("anyOf"), option -> accepts(option, value));
      }
      if (schema.has("enum")) {
        return any(schema.path("enum"), value::equals);
      }
      return switch (schema.path("type").asText()) {
        case "null" -> value.isNull();
        case "boolean" -> value.isBoolean();
        case "integer" ->
            value.isIntegralNumber()
                && (!schema.has("minimum")
                    || (value.longValue() >= schema.path("minimum").longValue()
                        && value.longValue() <= schema.path("maximum").longValue()));
        case "number" -> value.isNumber();
        case "string" -> value.isTextual();
        case "array" -> value.isArray() && !any(value, one -> !accepts(schema.path("items"), one));
        case "object" -> value.isObject() && members(schema, value);
        default -> throw new AssertionError("no type in " + schema);
      };
    }

    private boolean members(JsonNode schema, JsonNode value) {
      if (any(schema.path("required"), name -> !value.has(name.asText()))) {
        return false;
      }
      for (Map.Entry<String, JsonNode> member : value.properties()) {
        JsonNode property = schema.path("properties").path(member.getKey());
        JsonNode others = schema.path("additionalProperties");
        boolean own = schema.has("patternProperties") && member.getKey().startsWith("_");
        JsonNode expected = property.isObject() ? property : others;
        if (expected.isObject() ? !accepts(expected, member.getValue()) : !own) {
          return false;
        }
      }
      return true;
    }

    private static boolean any(JsonNode values, Predicate<JsonNode> test) {
      return StreamSupport.stream(values.spliterator(), false).anyMatch(test);
    }
  }

  @Test
  void everyTopicsSchemaAcceptsWhatMillraceWritesAndReads(@TempDir Path directory)
      throws IOException {
    var _ = SchemaFiles.write(directory);
    for (int i = 0; i < Topic.all().size(); i++) {
      Topic<?> topic = Topic.all().get(i);
      Validator validator =
          new Validator(JSON.readTree(directory.resolve(topic + ".schema.json").toFile()));
      JsonNode written = JSON.readTree(JsonLines.write(Examples.all().get(i)));
      assertTrue(validator.accepts(written), topic + ": " + written);
      assertTrue(validator.accepts(with(written, "_own")), topic.name());
      assertFalse(validator.accepts(with(written, "unknown")), topic.name());
      for (Schema.Field field : topic.schema().getFields()) {
        ObjectNode without = written.deepCopy();
        without.remove(field.name());
        assertEquals(field.hasDefaultValue(), validator.accepts(without), topic + "." + field);
        assertEquals(
            field.doc(),
            validator.root().at("/properties/" + field.name() + "/description").asText());
      }
    }
  }

  private static JsonNode with(JsonNode object, String name) {
    return ((ObjectNode) object.deepCopy()).put(name, 1);
  }
}
