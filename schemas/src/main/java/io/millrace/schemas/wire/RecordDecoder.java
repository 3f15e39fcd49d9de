package io.millrace.schemas.wire;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.avro.Schema;
import org.apache.avro.message.RawMessageDecoder;
import org.apache.avro.specific.SpecificData;
import org.apache.avro.specific.SpecificRecordBase;

/**
 * Reads the values of one topic in every {@link WireFormat}, each told by its first bytes. Avro's
 * rules resolve the writer's schema to the schema of this build. For one thread.
 *
 * @param <T> the record type
 */
public final class RecordDecoder<T extends SpecificRecordBase> {
  /** Bytes before the body in Confluent's framing. */
  static final int CONFLUENT_HEADER_BYTES = 5;

  private static final int MOST_READERS = 100;

  private final Class<T> type;
  private final SpecificData model;
  private final Schema schema;
  private final SingleObject<T> singleObject;
  private final SchemaSource source;

  /** By id; the least recently used one goes first. */
  private final Map<Integer, Reader<T>> readers =
      new LinkedHashMap<>(16, 0.75f, true) {
        private static final long serialVersionUID = 1L;

        @Override
        protected boolean removeEldestEntry(Map.Entry<Integer, Reader<T>> eldest) {
          return size() > MOST_READERS;
        }
      };

  private record Reader<T>(SchemaSource.Registered writer, RawMessageDecoder<T> decoder) {}

  /**
   * @param type the record type of the topic
   * @param writers further schemas for single-object encoding, see {@link
   *     SingleObject#withWriterSchemas}
   * @param source finds the schemas of Confluent's framing
   */
  public RecordDecoder(Class<T> type, Collection<Schema> writers, SchemaSource source) {
    this.type = type;
    this.model = SpecificData.getForClass(type);
    this.schema = model.getSchema(type);
    this.singleObject = SingleObject.of(type).withWriterSchemas(writers);
    this.source = source;
  }

  /**
   * Decodes one record.
   *
   * @param value may be null, which is no record
   * @throws WireFormatException for a value that is no such record
   * @throws java.io.UncheckedIOException when a registry is needed and does not answer
   */
  public T decode(byte[] value) {
    if (value == null) {
      throw new WireFormatException(
          "the value is null (a tombstone); expected a " + schema.getName());
    }
    WireFormat format = WireFormat.of(value).orElseThrow(() -> unknown(value));
    return switch (format) {
      case SINGLE_OBJECT -> singleObject.decode(value);
      case CONFLUENT -> confluent(value);
      case JSON -> json(value, 0);
    };
  }

  private T confluent(byte[] value) {
    if (value.length < CONFLUENT_HEADER_BYTES) {
      throw new WireFormatException(
          "truncated: the value has %d bytes, and the header of Confluent framing alone needs %d"
              .formatted(value.length, CONFLUENT_HEADER_BYTES));
    }
    int id = ByteBuffer.wrap(value).getInt(1);
    SchemaSource.Registered registered = source.schema(id);
    if (registered.avro().isEmpty()) {
      return json(value, CONFLUENT_HEADER_BYTES);
    }
    Schema writer = registered.avro().get();
    requireName(id, writer);
    if (!readers.containsKey(id) && SchemaDepth.isTooDeep(writer)) {
      throw tooDeep(id, null);
    }
    ByteBuffer body =
        ByteBuffer.wrap(value, CONFLUENT_HEADER_BYTES, value.length - CONFLUENT_HEADER_BYTES);
    BodyCheck.check(writer, body);
    try {
      return reader(id, registered, writer).decode(body);
    } catch (StackOverflowError e) {
      throw tooDeep(id, e);
    } catch (IOException | RuntimeException e) {
      throw WireFormatException.incompatibleSchema(
          "a %s written with schema id %d cannot be read with this build's schema: %s"
              .formatted(schema.getName(), id, e.getMessage()),
          e);
    }
  }

  /** Avro's specification: the unqualified names of both records must be the same. */
  private void requireName(int id, Schema writer) {
    if (writer.getType() != Schema.Type.UNION
        && (writer.getType() != Schema.Type.RECORD || !writer.getName().equals(schema.getName()))) {
      throw WireFormatException.incompatibleSchema(
          "schema id %d describes %s, and this topic holds %s; write with the schema of: millrace schemas --out DIR"
              .formatted(id, writer.getFullName(), schema.getFullName()),
          null);
    }
  }

  private static WireFormatException tooDeep(int id, Throwable cause) {
    return WireFormatException.incompatibleSchema(
        "schema id %d is nested deeper than %d levels; write with the schema of: millrace schemas --out DIR"
            .formatted(id, SchemaDepth.MOST),
        cause);
  }

  private RawMessageDecoder<T> reader(int id, SchemaSource.Registered registered, Schema writer) {
    Reader<T> reader = readers.get(id);
    if (reader == null || !reader.writer().equals(registered)) {
      reader = new Reader<>(registered, new RawMessageDecoder<>(model, writer, schema));
      readers.put(id, reader);
    }
    return reader.decoder();
  }

  private T json(byte[] value, int start) {
    String text;
    try {
      text =
          StandardCharsets.UTF_8
              .newDecoder()
              .decode(ByteBuffer.wrap(value, start, value.length - start))
              .toString();
    } catch (CharacterCodingException e) {
      throw new WireFormatException("the value begins like JSON and is not UTF-8", e);
    }
    return JsonLines.read(type, text.startsWith("\uFEFF") ? text.substring(1) : text);
  }

  private WireFormatException unknown(byte[] value) {
    if (value.length == 0) {
      return new WireFormatException("the value is empty; expected a " + schema.getName());
    }
    int start = WireFormat.jsonStart(value);
    String first =
        value.length == 1 ? "%02X".formatted(value[0]) : "%02X%02X".formatted(value[0], value[1]);
    return new WireFormatException(
        "the value starts with %s%s; a record starts with C301 (Avro single-object encoding), 00 (Confluent framing) or { (a JSON object)"
            .formatted(
                first,
                start < value.length && (value[start] == '[' || value[start] == '"')
                    ? ": JSON, but no object"
                    : ""));
  }
}
