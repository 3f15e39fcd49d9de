package io.millrace.schemas.state;

import java.io.ByteArrayInputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.RecordComponent;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.avro.Schema;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.ResolvingDecoder;
import org.apache.avro.reflect.ReflectDatumReader;

/** Reads the state that {@link StateWriter} wrote, in this build or an earlier one. */
public final class StateReader {

  /** Far above the size of any state's schema, and small enough to allocate. */
  private static final int MAX_SCHEMA_BYTES = 1 << 20;

  private final DataInputStream in;

  public StateReader(DataInputStream in) {
    this.in = in;
  }

  /** A reader for the bytes of {@link StateWriter#toBytes}. */
  public static StateReader of(byte[] bytes) {
    return new StateReader(new DataInputStream(new ByteArrayInputStream(bytes)));
  }

  /**
   * Reads the next record. The writer may have used an earlier schema. A component that this schema
   * lacks gets the default of its {@link org.apache.avro.reflect.AvroDefault}.
   *
   * @throws EOFException when the stream ends before the record does
   * @throws IOException when the next part is no record of this type, or lacks a component that has
   *     no default
   */
  public <T extends Record> T read(Class<T> type) throws IOException {
    try {
      return type.cast(record(type));
    } catch (EOFException e) {
      EOFException named =
          new EOFException(
              "the state of %s ends early; restore a Flink checkpoint that is complete"
                  .formatted(type.getName()));
      named.initCause(e);
      throw named;
    } catch (RuntimeException | StackOverflowError e) {
      // Avro throws ten kinds of exception for schemas and values that it cannot read.
      throw new IOException(
          "this build cannot read the state of %s: %s; restore it with the build that wrote it, or another Flink checkpoint"
              .formatted(type.getName(), e.getMessage() == null ? e : e.getMessage()),
          e);
    }
  }

  private Object record(Class<? extends Record> type) throws IOException {
    int length = in.readInt();
    if (length < 2 || length > MAX_SCHEMA_BYTES) {
      throw new IOException(
          "expected state of %s, found a schema of %d bytes; restore a Flink checkpoint of this job"
              .formatted(type.getName(), length));
    }
    byte[] text = new byte[length];
    in.readFully(text);
    Schema writer = new Schema.Parser().parse(new String(text, StandardCharsets.UTF_8));
    Schema reader = StateSchemas.of(type);
    if (!writer.getFullName().equals(reader.getFullName())) {
      throw new IOException(
          "expected state of %s, found state of %s; restore a Flink checkpoint of this job"
              .formatted(reader.getFullName(), writer.getFullName()));
    }
    return new Reader(writer, reader)
        .read(null, DecoderFactory.get().directBinaryDecoder(in, null));
  }

  /** The underlying stream; it has what {@link StateWriter#write(LargeValue)} wrote. */
  public DataInputStream raw() {
    return in;
  }

  /** Avro's reflective reader, which creates records with their constructor. */
  private static final class Reader extends ReflectDatumReader<Object> {

    private final Map<Class<?>, RecordComponent[]> components = new HashMap<>();

    Reader(Schema writer, Schema reader) {
      super(writer, reader, StateSchemas.DATA);
    }

    @Override
    protected Object readRecord(Object old, Schema expected, ResolvingDecoder decoder)
        throws IOException {
      Class<?> type = getSpecificData().getClass(expected);
      if (type == null || !type.isRecord()) {
        return super.readRecord(old, expected, decoder);
      }
      RecordComponent[] parts = components.computeIfAbsent(type, Class::getRecordComponents);
      List<String> names = Arrays.stream(parts).map(RecordComponent::getName).toList();
      Object[] values = new Object[parts.length];
      for (Schema.Field field : decoder.readFieldOrder()) {
        values[names.indexOf(field.name())] = read(null, field.schema(), decoder);
      }
      try {
        var constructor =
            type.getDeclaredConstructor(
                Arrays.stream(parts).map(RecordComponent::getType).toArray(Class<?>[]::new));
        constructor.setAccessible(true);
        return constructor.newInstance(values);
      } catch (InvocationTargetException e) {
        throw new IOException(
            "the state of %s has a bad value: %s"
                .formatted(type.getName(), e.getCause().getMessage()),
            e);
      } catch (ReflectiveOperationException e) {
        throw new IllegalStateException(type + " has no canonical constructor", e);
      }
    }
  }
}
