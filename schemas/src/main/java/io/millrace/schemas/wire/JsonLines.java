package io.millrace.schemas.wire;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.json.JsonMapper;
import org.apache.avro.specific.SpecificData;
import org.apache.avro.specific.SpecificRecordBase;

/**
 * Records as plain JSON for people, one object a line.
 *
 * <ul>
 *   <li>A union is null or its value, an enum is its symbol. Avro's own JSON encoding of a union,
 *       such as {@code {"string": "text"}}, is read too.
 *   <li>Bytes are Base64.
 *   <li>Times are ISO 8601; milliseconds since 1970 are read too.
 *   <li>A field whose name begins with {@code _} is the producer's own and is ignored. Any other
 *       unknown field is refused: it may be a misspelt one.
 *   <li>Numbers that JSON lacks are the strings "NaN", "Infinity" and "-Infinity".
 * </ul>
 */
public final class JsonLines {
  private static final JsonMapper MAPPER = new JsonMapper();

  private JsonLines() {}

  /** A record on one line, without a line break at its end. */
  public static String write(SpecificRecordBase record) {
    SpecificData model = SpecificData.getForClass(record.getClass());
    try {
      return MAPPER.writeValueAsString(JsonWriter.of(record, record.getSchema(), model));
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("writing a tree of plain values to memory failed", e);
    }
  }

  /**
   * Reads one line. A missing field gets the schema's default.
   *
   * @throws WireFormatException for text that is not JSON, an unknown field, a missing field
   *     without default, or a value of the wrong type; the message has the field's path
   */
  public static <T extends SpecificRecordBase> T read(Class<T> type, String line) {
    SpecificData model = SpecificData.getForClass(type);
    return type.cast(new JsonReader(model).read(StrictJson.read(line), model.getSchema(type)));
  }
}
