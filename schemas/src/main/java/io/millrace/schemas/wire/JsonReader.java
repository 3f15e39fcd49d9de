package io.millrace.schemas.wire;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeType;
import io.millrace.schemas.Nearest;
import java.nio.ByteBuffer;
import java.time.DateTimeException;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.apache.avro.Schema;
import org.apache.avro.generic.IndexedRecord;
import org.apache.avro.specific.SpecificData;

/** Converts JSON trees to Avro values of a schema. */
final class JsonReader {
  private static final Set<String> NON_FINITE = Set.of("NaN", "Infinity", "-Infinity");

  /** Begins the names of fields that belong to the producer alone; they are ignored. */
  static final String OWN_FIELD = "_";

  private final SpecificData model;

  JsonReader(SpecificData model) {
    this.model = model;
  }

  Object read(JsonNode node, Schema schema) {
    return value(node, schema, "");
  }

  private Object value(JsonNode node, Schema schema, String path) {
    if (schema.getLogicalType() != null) {
      return instant(node, schema, path);
    }
    return switch (schema.getType()) {
      case NULL -> {
        require(node.isNull(), node, "null", path);
        yield null;
      }
      case BOOLEAN -> {
        require(node.isBoolean(), node, "true or false", path);
        yield node.booleanValue();
      }
      case INT -> {
        require(isInteger(node) && node.canConvertToInt(), node, "a 32-bit integer", path);
        yield node.intValue();
      }
      case LONG -> {
        require(isInteger(node) && node.canConvertToLong(), node, "a 64-bit integer", path);
        yield node.longValue();
      }
      case FLOAT -> (float) number(node, path);
      case DOUBLE -> number(node, path);
      case STRING -> {
        require(node.isTextual(), node, "a string", path);
        yield node.textValue();
      }
      case ENUM -> symbol(node, schema, path);
      case BYTES -> bytes(node, path);
      case UNION -> union(node, schema, path);
      case RECORD -> record(node, schema, path);
      case ARRAY -> {
        require(node.isArray(), node, "an array", path);
        List<Object> items = new ArrayList<>(node.size());
        for (int i = 0; i < node.size(); i++) {
          items.add(value(node.get(i), schema.getElementType(), path + "[" + i + "]"));
        }
        yield items;
      }
      case MAP -> {
        require(node.isObject(), node, "an object", path);
        Map<String, Object> members = new HashMap<>();
        for (Map.Entry<String, JsonNode> member : node.properties()) {
          String key = member.getKey();
          members.put(key, value(member.getValue(), schema.getValueType(), join(path, key)));
        }
        yield members;
      }
      case FIXED ->
          throw new IllegalArgumentException("a field of type fixed is not supported: " + schema);
    };
  }

  private Object record(JsonNode node, Schema schema, String path) {
    require(node.isObject(), node, "an object", path);
    List<String> known = schema.getFields().stream().map(Schema.Field::name).toList();
    for (Map.Entry<String, JsonNode> member : node.properties()) {
      if (!known.contains(member.getKey()) && !member.getKey().startsWith(OWN_FIELD)) {
        throw new WireFormatException(
            "unknown field \"%s\"%s"
                .formatted(join(path, member.getKey()), Nearest.hint(member.getKey(), known)));
      }
    }
    IndexedRecord record = (IndexedRecord) model.newRecord(null, schema);
    for (Schema.Field field : schema.getFields()) {
      JsonNode member = node.get(field.name());
      String memberPath = join(path, field.name());
      if (member != null) {
        record.put(field.pos(), value(member, field.schema(), memberPath));
      } else if (field.hasDefaultValue()) {
        Object value = model.deepCopy(field.schema(), model.getDefaultValue(field));
        record.put(field.pos(), value);
      } else {
        throw new WireFormatException(
            "missing field \"%s\" (%s), which has no default"
                .formatted(memberPath, describe(field.schema())));
      }
    }
    return record;
  }

  private Object union(JsonNode node, Schema schema, String path) {
    Schema branch = null;
    for (Schema type : schema.getTypes()) {
      if ((type.getType() == Schema.Type.NULL) == node.isNull()) {
        branch = type;
        break;
      }
    }
    if (branch == null) {
      throw wrong(node, describe(schema), path);
    }
    return value(branchOf(node, branch), branch, path);
  }

  /** Avro's own JSON encoding writes a value of a union as {@code {"string": "text"}}. */
  private static JsonNode branchOf(JsonNode node, Schema branch) {
    boolean plainObject = branch.getType() == Schema.Type.MAP;
    JsonNode wrapped =
        node.isObject() && node.size() == 1 && !plainObject ? node.get(branch.getFullName()) : null;
    return wrapped == null ? node : wrapped;
  }

  private Object symbol(JsonNode node, Schema schema, String path) {
    require(node.isTextual(), node, describe(schema), path);
    String symbol = node.textValue();
    if (!schema.hasEnumSymbol(symbol)) {
      throw new WireFormatException(
          "field \"%s\" is \"%s\"%s"
              .formatted(path, symbol, Nearest.hint(symbol, schema.getEnumSymbols())));
    }
    return model.createEnum(symbol, schema);
  }

  private static ByteBuffer bytes(JsonNode node, String path) {
    require(node.isTextual(), node, "Base64 text", path);
    try {
      return ByteBuffer.wrap(Base64.getDecoder().decode(node.textValue()));
    } catch (IllegalArgumentException e) {
      throw new WireFormatException(
          "field \"%s\" is not Base64: %s".formatted(path, e.getMessage()), e);
    }
  }

  private static double number(JsonNode node, String path) {
    boolean named = node.isTextual() && NON_FINITE.contains(node.textValue());
    require(node.isNumber() || named, node, "a number", path);
    return named ? Double.parseDouble(node.textValue()) : node.doubleValue();
  }

  private static Instant instant(JsonNode node, Schema schema, String path) {
    String expected = "a time such as 2026-01-31T12:00:00Z, or milliseconds since 1970";
    if (schema.getType() != Schema.Type.LONG) {
      throw new IllegalArgumentException("a logical type on this type is not supported: " + schema);
    }
    if (isInteger(node) && node.canConvertToLong()) {
      return Instant.ofEpochMilli(node.longValue());
    }
    require(node.isTextual(), node, expected, path);
    try {
      Instant time = OffsetDateTime.parse(node.textValue()).toInstant();
      return Instant.ofEpochMilli(time.toEpochMilli());
    } catch (DateTimeException | ArithmeticException e) {
      throw wrong(node, expected, path);
    }
  }

  private static boolean isInteger(JsonNode node) {
    return node.isIntegralNumber();
  }

  private static void require(boolean ok, JsonNode node, String expected, String path) {
    if (!ok) {
      throw wrong(node, expected, path);
    }
  }

  private static WireFormatException wrong(JsonNode node, String expected, String path) {
    String text = node.isContainerNode() ? "" : " " + abbreviate(node.toString());
    String kind =
        node.getNodeType() == JsonNodeType.NULL || node.isBoolean()
            ? ""
            : node.getNodeType().name().toLowerCase(Locale.ROOT);
    String found = (kind + text).strip();
    if (node.isMissingNode()) {
      found = "nothing";
    }
    return new WireFormatException(
        "%s is %s; expected %s"
            .formatted(path.isEmpty() ? "the line" : "field \"" + path + "\"", found, expected));
  }

  private static String abbreviate(String text) {
    return text.length() <= 60 ? text : text.substring(0, 57) + "...";
  }

  private static String describe(Schema schema) {
    return switch (schema.getType()) {
      case ENUM -> "one of " + String.join(", ", schema.getEnumSymbols());
      case RECORD -> "an object: " + schema.getName();
      case UNION -> String.join(" or ", schema.getTypes().stream().map(s -> describe(s)).toList());
      default -> schema.getType().getName();
    };
  }

  private static String join(String path, String name) {
    return path.isEmpty() ? name : path + "." + name;
  }
}
