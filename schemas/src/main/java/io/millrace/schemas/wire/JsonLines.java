package io.millrace.schemas.wire;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.ByteBuffer;
import java.time.DateTimeException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.apache.avro.AvroRuntimeException;
import org.apache.avro.Schema;
import org.apache.avro.generic.IndexedRecord;
import org.apache.avro.specific.SpecificData;
import org.apache.avro.specific.SpecificRecordBase;

/**
 * Records as the JSON that people write: a union is null or its value, bytes are Base64, times are
 * ISO 8601 or milliseconds, what is left out takes the schema's default.
 */
public final class JsonLines {

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final JsonNodeFactory NODES = JsonNodeFactory.instance;

  private JsonLines() {}

  /** The record on one line. */
  public static String write(SpecificRecordBase record) {
    return toJson(record.getSchema(), record).toString();
  }

  private static JsonNode toJson(Schema schema, Object value) {
    return switch (schema.getType()) {
      case RECORD -> {
        ObjectNode node = NODES.objectNode();
        for (Schema.Field field : schema.getFields()) {
          node.set(field.name(), toJson(field.schema(), ((IndexedRecord) value).get(field.pos())));
        }
        yield node;
      }
      case ARRAY -> {
        ArrayNode node = NODES.arrayNode();
        for (Object element : (List<?>) value) {
          node.add(toJson(schema.getElementType(), element));
        }
        yield node;
      }
      case MAP -> {
        ObjectNode node = NODES.objectNode();
        ((Map<?, ?>) value)
            .forEach((key, each) -> node.set(key.toString(), toJson(schema.getValueType(), each)));
        yield node;
      }
      case UNION -> value == null ? NODES.nullNode() : toJson(present(schema), value);
      case BYTES -> {
        ByteBuffer buffer = ((ByteBuffer) value).duplicate();
        byte[] bytes = new byte[buffer.remaining()];
        buffer.get(bytes);
        yield NODES.textNode(Base64.getEncoder().encodeToString(bytes));
      }
      case INT -> NODES.numberNode((Integer) value);
      case LONG ->
          value instanceof Instant instant
              ? NODES.textNode(instant.toString())
              : NODES.numberNode((Long) value);
      case FLOAT -> NODES.numberNode((Float) value);
      case DOUBLE -> NODES.numberNode((Double) value);
      case BOOLEAN -> NODES.booleanNode((Boolean) value);
      case STRING, ENUM -> NODES.textNode(value.toString());
      default -> throw new IllegalStateException("no JSON for " + schema);
    };
  }

  /** The one branch of an optional that is not null. */
  private static Schema present(Schema union) {
    return union.getTypes().stream()
        .filter(branch -> branch.getType() != Schema.Type.NULL)
        .findFirst()
        .orElseThrow();
  }

  /**
   * The record that a line describes.
   *
   * @throws WireFormatException with the path of what is wrong, and what was expected there
   */
  public static <T extends SpecificRecordBase> T read(Class<T> type, String line) {
    JsonNode node;
    try {
      node = JSON.readTree(line);
    } catch (JsonProcessingException e) {
      throw new WireFormatException("not JSON: " + e.getOriginalMessage(), e);
    }
    Schema schema = SpecificData.getForClass(type).getSchema(type);
    return type.cast(fromJson(schema, node, schema.getName()));
  }

  private static Object fromJson(Schema schema, JsonNode node, String path) {
    return switch (schema.getType()) {
      case RECORD -> record(schema, node, path);
      case ARRAY -> {
        require(node.isArray(), "a list", node, path);
        List<Object> list = new ArrayList<>();
        for (int i = 0; i < node.size(); i++) {
          list.add(fromJson(schema.getElementType(), node.get(i), path + "[" + i + "]"));
        }
        yield list;
      }
      case MAP -> {
        require(node.isObject(), "an object", node, path);
        Map<String, Object> map = new LinkedHashMap<>();
        node.properties()
            .forEach(
                entry ->
                    map.put(
                        entry.getKey(),
                        fromJson(
                            schema.getValueType(), entry.getValue(), path + "." + entry.getKey())));
        yield map;
      }
      case UNION -> node.isNull() ? null : fromJson(present(schema), node, path);
      case ENUM -> {
        require(
            node.isTextual() && schema.getEnumSymbols().contains(node.asText()),
            "one of " + String.join(", ", schema.getEnumSymbols()),
            node,
            path);
        yield SpecificData.get().createEnum(node.asText(), schema);
      }
      case STRING -> {
        require(node.isTextual(), "a text", node, path);
        yield node.asText();
      }
      case BOOLEAN -> {
        require(node.isBoolean(), "true or false", node, path);
        yield node.asBoolean();
      }
      case INT -> {
        require(node.canConvertToInt() && node.isIntegralNumber(), "a whole number", node, path);
        yield node.asInt();
      }
      case LONG -> schema.getLogicalType() == null ? number(node, path) : time(node, path);
      case FLOAT -> {
        require(node.isNumber(), "a number", node, path);
        yield (float) node.asDouble();
      }
      case DOUBLE -> {
        require(node.isNumber(), "a number", node, path);
        yield node.asDouble();
      }
      case BYTES -> {
        require(node.isTextual(), "Base64 text", node, path);
        try {
          yield ByteBuffer.wrap(Base64.getDecoder().decode(node.asText()));
        } catch (IllegalArgumentException e) {
          throw new WireFormatException(path + " is not Base64: " + e.getMessage(), e);
        }
      }
      default -> throw new IllegalStateException("no JSON for " + schema);
    };
  }

  private static Object record(Schema schema, JsonNode node, String path) {
    require(node.isObject(), "an object", node, path);
    node.fieldNames()
        .forEachRemaining(
            name -> {
              if (schema.getField(name) == null) {
                throw new WireFormatException(
                    "%s has an unknown key '%s'; there are %s"
                        .formatted(
                            path,
                            name,
                            schema.getFields().stream()
                                .map(Schema.Field::name)
                                .collect(Collectors.joining(", "))));
              }
            });
    IndexedRecord record =
        (IndexedRecord) SpecificData.newInstance(SpecificData.get().getClass(schema), schema);
    for (Schema.Field field : schema.getFields()) {
      JsonNode child = node.get(field.name());
      if (child != null) {
        record.put(field.pos(), fromJson(field.schema(), child, path + "." + field.name()));
      } else {
        record.put(field.pos(), defaultOf(field, path));
      }
    }
    return record;
  }

  private static Object defaultOf(Schema.Field field, String path) {
    if (!field.hasDefaultValue()) {
      throw new WireFormatException(path + " lacks '" + field.name() + "': " + field.doc());
    }
    try {
      Object value =
          SpecificData.get().deepCopy(field.schema(), SpecificData.get().getDefaultValue(field));
      return field.schema().getLogicalType() != null && value instanceof Long millis
          ? Instant.ofEpochMilli(millis)
          : value;
    } catch (AvroRuntimeException e) {
      throw new WireFormatException(path + " lacks '" + field.name() + "'", e);
    }
  }

  private static Object number(JsonNode node, String path) {
    require(node.canConvertToLong() && node.isIntegralNumber(), "a whole number", node, path);
    return node.asLong();
  }

  private static Object time(JsonNode node, String path) {
    if (node.isIntegralNumber() && node.canConvertToLong()) {
      return Instant.ofEpochMilli(node.asLong());
    }
    try {
      return Instant.parse(node.asText());
    } catch (DateTimeException e) {
      throw new WireFormatException(
          path + " must be milliseconds or a time such as 2026-01-31T12:00:00Z, not " + node, e);
    }
  }

  private static void require(boolean valid, String expected, JsonNode node, String path) {
    if (!valid) {
      String found = node.toString();
      throw new WireFormatException(
          "%s must be %s, not %s"
              .formatted(
                  path, expected, found.length() > 80 ? found.substring(0, 80) + "…" : found));
    }
  }
}
