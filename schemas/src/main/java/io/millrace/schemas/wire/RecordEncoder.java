package io.millrace.schemas.wire;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.function.Function;
import org.apache.avro.message.RawMessageEncoder;
import org.apache.avro.specific.SpecificData;
import org.apache.avro.specific.SpecificRecordBase;

/**
 * Writes the values of one topic in one {@link WireFormat}.
 *
 * @param <T> the record type
 */
public final class RecordEncoder<T extends SpecificRecordBase> {
  private final Function<T, byte[]> format;

  private RecordEncoder(Function<T, byte[]> format) {
    this.format = format;
  }

  /** Writes {@link WireFormat#SINGLE_OBJECT}. */
  public static <T extends SpecificRecordBase> RecordEncoder<T> singleObject(Class<T> type) {
    return new RecordEncoder<>(SingleObject.of(type)::encode);
  }

  /** Writes {@link WireFormat#JSON}. */
  public static <T extends SpecificRecordBase> RecordEncoder<T> json() {
    return new RecordEncoder<>(record -> JsonLines.write(record).getBytes(StandardCharsets.UTF_8));
  }

  /**
   * Writes {@link WireFormat#CONFLUENT}.
   *
   * @param id under which the schema of {@code type} is registered
   */
  public static <T extends SpecificRecordBase> RecordEncoder<T> confluent(Class<T> type, int id) {
    TrustedRecords.ensure();
    SpecificData model = SpecificData.getForClass(type);
    RawMessageEncoder<T> body = new RawMessageEncoder<>(model, model.getSchema(type));
    return new RecordEncoder<>(
        record -> {
          try {
            ByteBuffer encoded = body.encode(record);
            return ByteBuffer.allocate(RecordDecoder.CONFLUENT_HEADER_BYTES + encoded.remaining())
                .put((byte) 0)
                .putInt(id)
                .put(encoded)
                .array();
          } catch (IOException e) {
            throw new UncheckedIOException("encoding to memory failed", e);
          }
        });
  }

  /** The value of a record. */
  public byte[] encode(T record) {
    return format.apply(record);
  }
}
