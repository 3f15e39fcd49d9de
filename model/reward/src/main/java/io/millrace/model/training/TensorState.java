package io.millrace.model.training;

import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Tensor;
import io.millrace.model.tensor.TensorCopy;
import io.millrace.schemas.state.CopyBudget;
import io.millrace.schemas.state.LargeValue;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Optional;

/** Copies tensors to and from a stream in chunks, so that no second model is on the heap. */
final class TensorState {

  private static final int CHUNK = 1 << 16;

  private TensorState() {}

  /** A tensor as a part of a state. */
  static LargeValue of(Backend backend, Tensor tensor) {
    return new LargeValue() {
      @Override
      public void write(DataOutputStream out) throws IOException {
        TensorState.write(out, tensor);
      }

      @Override
      public Optional<Copy> copy(CopyBudget budget) {
        return TensorCopy.of(backend, tensor, budget).map(TensorState::written);
      }
    };
  }

  private static LargeValue.Copy written(TensorCopy copy) {
    return new LargeValue.Copy() {
      @Override
      public void write(DataOutputStream out) throws IOException {
        TensorState.write(out, copy.tensor());
      }

      @Override
      public void close() {
        copy.close();
      }
    };
  }

  private static void write(DataOutput out, Tensor tensor) throws IOException {
    out.writeLong(tensor.size());
    float[] values = new float[(int) Math.min(CHUNK, tensor.size())];
    ByteBuffer bytes = ByteBuffer.allocate(Float.BYTES * values.length);
    for (long offset = 0; offset < tensor.size(); offset += values.length) {
      int length = (int) Math.min(values.length, tensor.size() - offset);
      tensor.read(offset, values, 0, length);
      bytes.asFloatBuffer().put(values, 0, length);
      out.write(bytes.array(), 0, Float.BYTES * length);
    }
  }

  static void read(DataInput in, Tensor tensor) throws IOException {
    long size = in.readLong();
    if (size != tensor.size()) {
      throw new IOException(
          ("the state has a tensor of %d values, the model one of %d: start with the model shape"
                  + " that the state was written with")
              .formatted(size, tensor.size()));
    }
    float[] values = new float[(int) Math.min(CHUNK, size)];
    ByteBuffer bytes = ByteBuffer.allocate(Float.BYTES * values.length);
    for (long offset = 0; offset < size; offset += values.length) {
      int length = (int) Math.min(values.length, size - offset);
      in.readFully(bytes.array(), 0, Float.BYTES * length);
      bytes.asFloatBuffer().get(values, 0, length);
      tensor.write(offset, values, 0, length);
    }
  }
}
