package io.millrace.jobs.operator;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.Map;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.runtime.state.DefaultOperatorStateBackend;
import org.apache.flink.runtime.state.OperatorStateHandle;
import org.apache.flink.runtime.state.OperatorStreamStateHandle;
import org.apache.flink.runtime.state.memory.ByteStreamStateHandle;
import org.apache.flink.streaming.util.AbstractStreamOperatorTestHarness;

/** An operator's raw state as bytes, and back. */
final class OperatorStates {

  private OperatorStates() {}

  static byte[] bytes(OperatorSubtaskState state) throws IOException {
    OperatorStateHandle handle = state.getRawOperatorState().iterator().next();
    try (InputStream in = handle.openInputStream()) {
      return in.readAllBytes();
    }
  }

  static OperatorSubtaskState of(byte[] bytes) {
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

  /** A subtask's part of what one subtask alone had. */
  static OperatorSubtaskState rescaled(OperatorSubtaskState state, int parallelism, int subtask) {
    return AbstractStreamOperatorTestHarness.repartitionOperatorState(
        state, parallelism, 1, parallelism, subtask);
  }

  /** Without a training thread, nothing happens between reading and writing. */
  static byte[] readAndWritten(LearningOperator<?> operator, byte[] state) throws Exception {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    DataInputStream in = new DataInputStream(new ByteArrayInputStream(state));
    DataOutputStream out = new DataOutputStream(bytes);
    operator.openModels();
    try {
      int format = in.readInt();
      out.writeInt(format);
      operator.readState(in, format);
      assertEquals(-1, in.read(), "all of it is read");
      operator.writeState(out);
    } finally {
      operator.closeModels();
    }
    return bytes.toByteArray();
  }
}
