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

  /** Writes a tensor of zeros. */
  static void writeZeros(DataOutput out, long size) throws IOException {
    out.writeLong(size);
    byte[] zeros = new byte[Float.BYTES * (int) Math.min(CHUNK, size)];
    for (long offset = 0; offset < size; offset += CHUNK) {
      out.write(zeros, 0, Float.BYTES * (int) Math.min(CHUNK, size - offset));
    }
  }

  static void read(DataInput in, Tensor tensor) throws IOException {
    read(in, tensor.size(), 0, tensor);
  }

  /**
   * Reads a part of a tensor, and passes over the rest.
   *
   * @param total elements of the whole tensor
   * @param from where the part begins
   */
  static void read(DataInput in, long total, long from, Tensor part) throws IOException {
    long size = in.readLong();
    if (size != total) {
      throw new IOException(
          ("the state has a tensor of %d values, the model one of %d: start with the model shape"
                  + " that the state was written with")
              .formatted(size, total));
    }
    long to = from + part.size();
    float[] values = new float[(int) Math.min(CHUNK, size)];
    ByteBuffer bytes = ByteBuffer.allocate(Float.BYTES * values.length);
    for (long offset = 0; offset < size; offset += values.length) {
      int length = (int) Math.min(values.length, size - offset);
      in.readFully(bytes.array(), 0, Float.BYTES * length);
      bytes.asFloatBuffer().get(values, 0, length);
      long first = Math.max(from, offset);
      int count = (int) (Math.min(to, offset + length) - first);
      if (count > 0) {
        part.write(first - from, values, (int) (first - offset), count);
      }
    }
  }
}
