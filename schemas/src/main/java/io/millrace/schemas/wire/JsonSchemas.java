package io.millrace.schemas.wire;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import org.apache.avro.JsonProperties;
import org.apache.avro.Schema;

/**
 * JSON Schemas (draft 2020-12) of the JSON that {@link JsonLines} reads. They describe the fields
 * and their types; {@link io.millrace.schemas.Validation} has further rules.
 */
final class JsonSchemas {
  private static final ObjectMapper JSON = new ObjectMapper();

  private final ObjectNode definitions = JSON.createObjectNode();

  private JsonSchemas() {}

  /** The JSON Schema of a record type. */
  static ObjectNode of(Schema record) {
    JsonSchemas schemas = new JsonSchemas();
    ObjectNode root = JSON.createObjectNode();
    root.put("$schema", "https://json-schema.org/draft/2020-12/schema");
    root.put("title", record.getName());
    schemas.describe(record, root);
    if (!schemas.definitions.isEmpty()) {
      root.set("$defs", schemas.definitions);
    }
    return root;
  }

  private void describe(Schema record, ObjectNode node) {
    if (record.getDoc() != null) {
      node.put("description", record.getDoc());
    }
    node.put("type", "object");
    ObjectNode properties = node.putObject("properties");
    ArrayNode required = JSON.createArrayNode();
    for (Schema.Field field : record.getFields()) {
      ObjectNode type = type(field.schema());
      if (field.doc() != null) {
        type.put("description", field.doc());
      }
      if (field.hasDefaultValue()) {
        Object value = field.defaultVal();
        type.set(
            "default", JSON.valueToTree(value.equals(JsonProperties.NULL_VALUE) ? null : value));
      } else {
        required.add(field.name());
      }
      properties.set(field.name(), type);
    }
    if (!required.isEmpty()) {
      node.set("required", required);
    }
    node.putObject("patternProperties").put("^" + JsonReader.OWN_FIELD, true);
    node.put("additionalProperties", false);
  }

  private ObjectNode type(Schema schema) {
    ObjectNode node = JSON.createObjectNode();
    if (schema.getLogicalType() != null) {
      ArrayNode times = node.putArray("anyOf");
      times.addObject().put("type", "string").put("format", "date-time");
      times.addObject().put("type", "integer").put("description", "milliseconds since 1970");
      return node;
    }
    switch (schema.getType()) {
      case NULL -> node.put("type", "null");
      case BOOLEAN -> node.put("type", "boolean");
      case INT ->
          node.put("type", "integer")
              .put("minimum", Integer.MIN_VALUE)
              .put("maximum", Integer.MAX_VALUE);
      case LONG ->
          node.put("type", "integer").put("minimum", Long.MIN_VALUE).put("maximum", Long.MAX_VALUE);
      case FLOAT, DOUBLE -> {
        ArrayNode numbers = node.putArray("anyOf");
        numbers.addObject().put("type", "number");
        numbers.addObject().putArray("enum").add("NaN").add("Infinity").add("-Infinity");
      }
      case STRING -> node.put("type", "string");
      case BYTES -> node.put("type", "string").put("contentEncoding", "base64");
      case ARRAY -> node.put("type", "array").set("items", type(schema.getElementType()));
      case MAP ->
          node.put("type", "object").set("additionalProperties", type(schema.getValueType()));
      case UNION -> {
        ArrayNode branches = node.putArray("anyOf");
        schema.getTypes().forEach(branch -> branches.add(type(branch)));
      }
      case ENUM, RECORD -> node.put("$ref", "#/$defs/" + define(schema));
      case FIXED ->
          throw new IllegalArgumentException("a field of type fixed is not supported: " + schema);
    }
    return node;
  }

  private String define(Schema named) {
    JsonNode known = definitions.get(named.getName());
    if (known == null) {
      ObjectNode definition = definitions.putObject(named.getName());
      if (named.getType() == Schema.Type.RECORD) {
        describe(named, definition);
      } else {
        if (named.getDoc() != null) {
          definition.put("description", named.getDoc());
        }
        ArrayNode symbols = definition.putArray("enum");
        named.getEnumSymbols().forEach(symbols::add);
      }
    }
    return named.getName();
  }
}
