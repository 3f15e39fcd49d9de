package io.millrace.schemas.state;

import java.io.ByteArrayInputStream;
import java.io.DataInputStream;
import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.RecordComponent;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.avro.AvroTypeException;
import org.apache.avro.Schema;
import org.apache.avro.SchemaParseException;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.ResolvingDecoder;
import org.apache.avro.reflect.ReflectDatumReader;

/** Reads what {@link StateWriter} wrote, also with an earlier version of the record types. */
public final class StateReader {

  /** Far above the schema of any state, and small enough to allocate. */
  private static final int MAX_SCHEMA_BYTES = 1 << 20;

  private final DataInputStream in;

  public StateReader(DataInputStream in) {
    this.in = in;
  }

  /** A reader of what {@link StateWriter#toBytes} wrote. */
  public static StateReader of(byte[] bytes) {
    return new StateReader(new DataInputStream(new ByteArrayInputStream(bytes)));
  }

  /**
   * Reads the next record. Avro resolves a different schema of the writer: a component that the
   * writer did not know takes the default of its {@link org.apache.avro.reflect.AvroDefault}.
   *
   * @throws IOException if the next part is not a record of this type, or has no default for a
   *     component that it lacks
   */
  public <T extends Record> T read(Class<T> type) throws IOException {
    int length = in.readInt();
    if (length < 2 || length > MAX_SCHEMA_BYTES) {
      throw new IOException(
          "state of %s expected, found a schema of %d bytes".formatted(type.getName(), length));
    }
    byte[] text = new byte[length];
    in.readFully(text);
    try {
      Schema writer = new Schema.Parser().parse(new String(text, StandardCharsets.UTF_8));
      Schema reader = StateSchemas.of(type);
      if (!writer.getFullName().equals(reader.getFullName())) {
        throw new IOException(
            "state of %s expected, found state of %s"
                .formatted(reader.getFullName(), writer.getFullName()));
      }
      Object read =
          new Reader(writer, reader).read(null, DecoderFactory.get().directBinaryDecoder(in, null));
      return type.cast(read);
    } catch (AvroTypeException | SchemaParseException | IllegalArgumentException e) {
      throw new IOException(
          "state of %s cannot be read: %s".formatted(type.getName(), e.getMessage()), e);
    }
  }

  /** The stream itself, see {@link StateWriter#raw}. */
  public DataInputStream raw() {
    return in;
  }

  /** Avro's reader for classes, which makes records with their constructor. */
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
            "state of %s is refused: %s".formatted(type.getName(), e.getCause().getMessage()), e);
      } catch (ReflectiveOperationException e) {
        throw new IllegalStateException(type + " has no canonical constructor", e);
      }
    }
  }
}
