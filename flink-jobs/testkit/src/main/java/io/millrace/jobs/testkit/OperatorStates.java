package io.millrace.jobs.testkit;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.millrace.jobs.runtime.BackgroundOperator;
import io.millrace.schemas.state.StateReader;
import io.millrace.schemas.state.StateWriter;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.DecoderFactory;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.runtime.state.DefaultOperatorStateBackend;
import org.apache.flink.runtime.state.OperatorStateHandle;
import org.apache.flink.runtime.state.OperatorStreamStateHandle;
import org.apache.flink.runtime.state.memory.ByteStreamStateHandle;
import org.apache.flink.streaming.util.AbstractStreamOperatorTestHarness;

/** An operator's raw state as bytes, and back. */
public final class OperatorStates {

  private OperatorStates() {}

  public static byte[] bytes(OperatorSubtaskState state) throws IOException {
    OperatorStateHandle handle = state.getRawOperatorState().iterator().next();
    try (InputStream in = handle.openInputStream()) {
      return in.readAllBytes();
    }
  }

  public static OperatorSubtaskState of(byte[] bytes) {
    return OperatorSubtaskState.builder()
        .setRawOperatorState(
            new OperatorStreamStateHandle(
                Map.of(
                    DefaultOperatorStateBackend.DEFAULT_OPERATOR_STATE_NAME,
                    new OperatorStateHandle.StateMetaInfo(
                        new long[] {0}, OperatorStateHandle.Mode.SPLIT_DISTRIBUTE)),
                new ByteStreamStateHandle("golden", bytes)))
        .build();
  }

  /** The first record of an operator's raw state, by the schema that it was written with. */
  public static GenericRecord firstRecord(byte[] state) throws IOException {
    DataInputStream in = new DataInputStream(new ByteArrayInputStream(state));
    byte[] text = new byte[in.readInt()];
    in.readFully(text);
    Schema schema = new Schema.Parser().parse(new String(text, StandardCharsets.UTF_8));
    return new GenericDatumReader<GenericRecord>(schema)
        .read(null, DecoderFactory.get().directBinaryDecoder(in, null));
  }

  /** A subtask's part of what one subtask alone had. */
  public static OperatorSubtaskState rescaled(
      OperatorSubtaskState state, int parallelism, int subtask) {
    return AbstractStreamOperatorTestHarness.repartitionOperatorState(
        state, parallelism, 1, parallelism, subtask);
  }

  /** Without a training thread, nothing happens between reading and writing. */
  public static byte[] readAndWritten(BackgroundOperator<?> operator, byte[] state)
      throws Exception {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    DataInputStream in = new DataInputStream(new ByteArrayInputStream(state));
    DataOutputStream out = new DataOutputStream(bytes);
    operator.openModels();
    try {
      operator.readState(new StateReader(in));
      assertEquals(-1, in.read(), "the whole state was read");
      operator.writeState(new StateWriter(out));
    } finally {
      operator.closeModels();
    }
    return bytes.toByteArray();
  }
}
