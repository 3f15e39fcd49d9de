package io.millrace.schemas.wire;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.util.Collection;
import java.util.HexFormat;
import java.util.List;
import org.apache.avro.Schema;
import org.apache.avro.message.BinaryMessageDecoder;
import org.apache.avro.message.BinaryMessageEncoder;
import org.apache.avro.message.MissingSchemaException;
import org.apache.avro.specific.SpecificData;
import org.apache.avro.specific.SpecificRecordBase;

/**
 * Avro's single-object encoding (Avro 1.12 specification, "Single-object encoding"): two marker
 * bytes, the fingerprint of the writer's schema, the record. No registry is needed; what older or
 * newer writers wrote is resolved by Avro's rules once their schemas are known.
 */
public final class SingleObject<T extends SpecificRecordBase> {

  private static final int HEADER = 10;

  private final Schema schema;
  private final BinaryMessageEncoder<T> encoder;
  private final BinaryMessageDecoder<T> decoder;

  private SingleObject(Class<T> type, Collection<Schema> writers) {
    SpecificData data = SpecificData.getForClass(type);
    this.schema = data.getSchema(type);
    this.encoder = new BinaryMessageEncoder<>(data, schema);
    this.decoder = new BinaryMessageDecoder<>(data, schema);
    writers.forEach(decoder::addSchema);
  }

  public static <T extends SpecificRecordBase> SingleObject<T> of(Class<T> type) {
    return new SingleObject<>(type, List.of());
  }

  /** Decodes what writers with these schemas wrote, too. */
  public static <T extends SpecificRecordBase> SingleObject<T> of(
      Class<T> type, Collection<Schema> writers) {
    return new SingleObject<>(type, writers);
  }

  public byte[] encode(T record) {
    try {
      ByteBuffer buffer = encoder.encode(record);
      byte[] bytes = new byte[buffer.remaining()];
      buffer.get(bytes);
      return bytes;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * The record.
   *
   * @throws WireFormatException where the bytes are none, whatever they are
   */
  public T decode(byte[] bytes) {
    if (bytes == null || bytes.length < HEADER || bytes[0] != (byte) 0xC3 || bytes[1] != 1) {
      throw new WireFormatException(
          "not Avro single-object encoding of a %s: expected C3 01 and an 8-byte fingerprint, found %s"
              .formatted(schema.getName(), beginning(bytes)));
    }
    try {
      return decoder.decode(bytes);
    } catch (MissingSchemaException e) {
      throw new WireFormatException(
          "a %s written with an unknown schema, fingerprint %s; give its writer's schema to the reader"
              .formatted(schema.getName(), HexFormat.of().formatHex(bytes, 2, HEADER)),
          e);
    } catch (IOException | RuntimeException | OutOfMemoryError e) {
      // Avro takes lengths from the bytes: garbage may surface as nearly any exception.
      throw undecodable(bytes, e);
    }
  }

  private WireFormatException undecodable(byte[] bytes, Throwable cause) {
    return new WireFormatException(
        "%d bytes that are no %s: %s".formatted(bytes.length, schema.getName(), cause), cause);
  }

  private static String beginning(byte[] bytes) {
    if (bytes == null) {
      return "nothing (a tombstone)";
    }
    return bytes.length
        + " bytes: "
        + HexFormat.ofDelimiter(" ").formatHex(bytes, 0, Math.min(bytes.length, 16));
  }
}
