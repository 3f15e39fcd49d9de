package io.millrace.model.llama;

import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Tensor;
import java.util.HashMap;
import java.util.Map;

/**
 * The activations of a model by name: allocated once for the longest batch seen, and lent as
 * matrices of as many rows as a batch has. Nothing is allocated in the steady state.
 */
final class Buffers implements AutoCloseable {

  private record Key(String name, int layer) {}

  private static final class Buffer {
    Tensor memory;
    Tensor lent;
  }

  private final Backend backend;
  private final Map<Key, Buffer> buffers = new HashMap<>();

  Buffers(Backend backend) {
    this.backend = backend;
  }

  /** The buffer as [rows, columns], with whatever it held before. */
  Tensor get(String name, int layer, int rows, int columns) {
    Buffer buffer = buffers.computeIfAbsent(new Key(name, layer), key -> new Buffer());
    if (buffer.memory == null || buffer.memory.rows() < rows) {
      if (buffer.memory != null) {
        buffer.memory.close();
      }
      buffer.memory = backend.allocate(rows, columns);
      buffer.lent = buffer.memory;
    } else if (buffer.lent.rows() != rows) {
      buffer.lent = buffer.memory.firstRows(rows);
    }
    return buffer.lent;
  }

  /** The buffer as [rows, columns] of zeros, for a gradient to be added to. */
  Tensor zeroed(String name, int rows, int columns) {
    Tensor buffer = get(name, 0, rows, columns);
    backend.zero(buffer);
    return buffer;
  }

  @Override
  public void close() {
    buffers.values().forEach(buffer -> buffer.memory.close());
    buffers.clear();
  }
}
