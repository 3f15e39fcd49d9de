package io.millrace.schemas.state;

import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import org.apache.avro.Schema;
import org.apache.avro.SchemaNormalization;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.EncoderFactory;
import org.apache.avro.reflect.ReflectDatumWriter;

/**
 * Writes the state of a job. It consists of records, each with its Avro schema, and of raw values
 * between them, such as tensors. {@link StateReader} reads both in the same order.
 */
public final class StateWriter {

  private final StateSnapshot snapshot;
  private DataOutputStream out;

  public StateWriter(DataOutputStream out) {
    this(out, null);
  }

  /**
   * A writer that leaves large values to a snapshot.
   *
   * @param snapshot null to write them at once
   */
  StateWriter(DataOutputStream out, StateSnapshot snapshot) {
    this.out = out;
    this.snapshot = snapshot;
  }

  /** Writes the parts of a state. */
  @FunctionalInterface
  public interface Source {
    void write(StateWriter out) throws IOException;
  }

  /** A small state as bytes, for {@link StateReader#of}. */
  public static byte[] toBytes(Source source) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    source.write(new StateWriter(new DataOutputStream(bytes)));
    return bytes.toByteArray();
  }

  /** Writes a record with the schema of its type. */
  public <T extends Record> void write(T part) throws IOException {
    Schema schema = StateSchemas.of(part.getClass());
    // The canonical form leaves out docs and other attributes that only the reader needs.
    byte[] text = SchemaNormalization.toParsingForm(schema).getBytes(StandardCharsets.UTF_8);
    out.writeInt(text.length);
    out.write(text);
    BinaryEncoder encoder = EncoderFactory.get().directBinaryEncoder(out, null);
    new ReflectDatumWriter<Record>(schema, StateSchemas.DATA).write(part, encoder);
    encoder.flush();
  }

  /** Writes a value that is too large for a record. {@link StateReader#raw} reads it. */
  public void write(LargeValue value) throws IOException {
    if (snapshot == null) {
      value.write(out);
    } else {
      out = snapshot.add(value);
    }
  }
}
