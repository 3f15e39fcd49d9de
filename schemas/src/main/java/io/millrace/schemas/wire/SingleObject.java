package io.millrace.schemas.wire;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Collection;
import java.util.HashMap;
import java.util.Map;
import org.apache.avro.Schema;
import org.apache.avro.SchemaNormalization;
import org.apache.avro.message.BinaryMessageDecoder;
import org.apache.avro.message.BinaryMessageEncoder;
import org.apache.avro.specific.SpecificData;
import org.apache.avro.specific.SpecificRecordBase;

/**
 * Avro's single-object encoding of one record type (Avro 1.12 specification, "Single-object
 * encoding"). It consists of {@code C3 01}, the 8-byte little-endian CRC-64-AVRO fingerprint of the
 * writer's schema, and the binary body.
 *
 * <p>Writers may use an older or newer schema than this build. When their schema is known, Avro's
 * rules resolve their records. Safe for use by many threads.
 *
 * @param <T> the record type
 */
public final class SingleObject<T extends SpecificRecordBase> {
  private static final int HEADER_BYTES = 10;

  static {
    TrustedRecords.ensure();
  }

  private final Class<T> type;
  private final Schema schema;
  private final Map<Long, Schema> writers;
  private final BinaryMessageEncoder<T> encoder;
  private final BinaryMessageDecoder<T> decoder;

  private SingleObject(Class<T> type, Map<Long, Schema> writers) {
    SpecificData model = SpecificData.getForClass(type);
    this.type = type;
    this.schema = model.getSchema(type);
    this.writers = Map.copyOf(writers);
    this.encoder = new BinaryMessageEncoder<>(model, schema);
    this.decoder = new BinaryMessageDecoder<>(model, schema, this.writers::get);
  }

  /** The format of a record type. It reads records of this build and of earlier releases. */
  public static <T extends SpecificRecordBase> SingleObject<T> of(Class<T> type) {
    Schema schema = SpecificData.getForClass(type).getSchema(type);
    return new SingleObject<T>(type, Map.of(fingerprint(schema), schema))
        .withWriterSchemas(WriterSchemas.bundled());
  }

  /**
   * The same format, which also reads records of further writers. It ignores schemas of other
   * record types, so one collection works for every topic.
   */
  public SingleObject<T> withWriterSchemas(Collection<Schema> schemas) {
    Map<Long, Schema> known = new HashMap<>(writers);
    for (Schema writer : schemas) {
      if (writer.getType() == Schema.Type.RECORD
          && writer.getFullName().equals(schema.getFullName())) {
        known.putIfAbsent(fingerprint(writer), writer);
      }
    }
    return new SingleObject<>(type, known);
  }

  /** The fingerprint in the header of records written with {@code schema}. */
  public static long fingerprint(Schema schema) {
    return SchemaNormalization.parsingFingerprint64(schema);
  }

  public byte[] encode(T record) {
    ByteBuffer encoded;
    try {
      encoded = encoder.encode(record);
    } catch (IOException e) {
      throw new UncheckedIOException("encoding to memory failed", e);
    }
    byte[] bytes = new byte[encoded.remaining()];
    encoded.get(bytes);
    return bytes;
  }

  /**
   * Decodes one record.
   *
   * @throws WireFormatException for any input that is not such a record; no other exception is
   *     thrown
   */
  public T decode(byte[] bytes) {
    if (bytes == null) {
      throw new WireFormatException(
          "the value is null (a tombstone); expected a " + schema.getName());
    }
    Schema writer = writerOf(bytes);
    BodyCheck.check(writer, ByteBuffer.wrap(bytes, HEADER_BYTES, bytes.length - HEADER_BYTES));
    try {
      return decoder.decode(bytes);
    } catch (IOException | RuntimeException e) {
      throw new WireFormatException(
          "a %s written with schema %s cannot be read with this build's schema: %s"
              .formatted(schema.getName(), hex(fingerprint(writer)), e.getMessage()),
          e);
    }
  }

  private Schema writerOf(byte[] bytes) {
    if (bytes.length < HEADER_BYTES) {
      throw new WireFormatException(
          "truncated: the value has %d bytes, and the header alone needs %d"
              .formatted(bytes.length, HEADER_BYTES));
    }
    if (bytes[0] != (byte) 0xC3 || bytes[1] != 0x01) {
      throw new WireFormatException(
          "the value starts with %02X%02X, not C301%s"
              .formatted(bytes[0] & 0xFF, bytes[1] & 0xFF, guess(bytes[0])));
    }
    long fingerprint = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getLong(2);
    Schema writer = writers.get(fingerprint);
    if (writer == null) {
      throw new WireFormatException(
          "no %s schema with fingerprint %s is known%s; records of this build begin with %s; millrace schemas --out DIR writes each schema and its header"
              .formatted(
                  schema.getName(),
                  hex(fingerprint),
                  writers.containsKey(Long.reverseBytes(fingerprint))
                      ? ": its bytes are in big-endian order"
                      : "",
                  header()));
    }
    return writer;
  }

  /** The header of this build's records, in hexadecimal. */
  private String header() {
    return "C301%016X".formatted(Long.reverseBytes(fingerprint(schema)));
  }

  private static String guess(byte first) {
    return switch (first) {
      case 0 -> ": this looks like Confluent framing; write Avro single-object encoding instead";
      case '{', '[' ->
          ": this looks like JSON; send JSON Lines with `millrace produce`, which encodes them";
      default -> "; write Avro single-object encoding";
    };
  }

  private static String hex(long fingerprint) {
    return "%016x".formatted(fingerprint);
  }
}
