package io.millrace.schemas.wire;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.ByteBuffer;
import java.util.Base64;
import java.util.Collection;
import java.util.Map;
import java.util.TreeMap;
import org.apache.avro.Schema;
import org.apache.avro.generic.IndexedRecord;
import org.apache.avro.specific.SpecificData;

/** Converts Avro values of a schema to JSON trees. */
final class JsonWriter {
  private static final JsonNodeFactory NODES = JsonNodeFactory.instance;

  private JsonWriter() {}

  static JsonNode of(Object value, Schema schema, SpecificData model) {
    if (schema.getLogicalType() != null) {
      return NODES.textNode(value.toString()); // An Instant prints as ISO 8601.
    }
    return switch (schema.getType()) {
      case NULL -> NODES.nullNode();
      case BOOLEAN -> NODES.booleanNode((Boolean) value);
      case INT -> NODES.numberNode((Integer) value);
      case LONG -> NODES.numberNode((Long) value);
      case FLOAT ->
          Float.isFinite((Float) value)
              ? NODES.numberNode((Float) value)
              : NODES.textNode(value.toString());
      case DOUBLE ->
          Double.isFinite((Double) value)
              ? NODES.numberNode((Double) value)
              : NODES.textNode(value.toString());
      case STRING, ENUM -> NODES.textNode(value.toString());
      case BYTES -> NODES.textNode(base64((ByteBuffer) value));
      case UNION -> of(value, schema.getTypes().get(model.resolveUnion(schema, value)), model);
      case RECORD -> {
        ObjectNode object = NODES.objectNode();
        for (Schema.Field field : schema.getFields()) {
          Object member = ((IndexedRecord) value).get(field.pos());
          object.set(field.name(), of(member, field.schema(), model));
        }
        yield object;
      }
      case ARRAY -> {
        ArrayNode array = NODES.arrayNode();
        for (Object item : (Collection<?>) value) {
          array.add(of(item, schema.getElementType(), model));
        }
        yield array;
      }
      case MAP -> {
        ObjectNode object = NODES.objectNode();
        Map<String, Object> sorted = new TreeMap<>();
        ((Map<?, ?>) value).forEach((key, member) -> sorted.put(key.toString(), member));
        sorted.forEach((key, member) -> object.set(key, of(member, schema.getValueType(), model)));
        yield object;
      }
      case FIXED ->
          throw new IllegalArgumentException("a field of type fixed is not supported: " + schema);
    };
  }

  private static String base64(ByteBuffer buffer) {
    byte[] bytes = new byte[buffer.remaining()];
    buffer.duplicate().get(bytes);
    return Base64.getEncoder().encodeToString(bytes);
  }
}
