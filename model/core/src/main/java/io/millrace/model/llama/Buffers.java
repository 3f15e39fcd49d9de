package io.millrace.model.llama;

import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Tensor;
import java.util.HashMap;
import java.util.Map;

/**
 * The activation buffers of a model, by name and layer. A buffer is allocated for the longest batch
 * so far, and a batch gets the rows it needs of it. Once the longest batch has passed, nothing more
 * is allocated.
 */
final class Buffers implements AutoCloseable {

  private record Key(String name, int layer, boolean activation) {}

  private static final class Buffer {
    Tensor memory;
    Tensor lent;
  }

  private final Backend backend;
  private final Map<Key, Buffer> buffers = new HashMap<>();

  Buffers(Backend backend) {
    this.backend = backend;
  }

  /** A buffer as {@code [rows, columns]}. It holds the values of its last use. */
  Tensor get(String name, int layer, int rows, int columns) {
    return get(new Key(name, layer, true), rows, columns);
  }

  /** As {@link #get}, in float32 whatever the precision of activations is. */
  Tensor float32(String name, int rows, int columns) {
    return get(new Key(name, 0, false), rows, columns);
  }

  private Tensor get(Key key, int rows, int columns) {
    Buffer buffer = buffers.computeIfAbsent(key, _ -> new Buffer());
    if (buffer.memory == null || buffer.memory.rows() < rows) {
      if (buffer.memory != null) {
        buffer.memory.close();
        buffer.memory = null;
      }
      buffer.memory =
          key.activation
              ? backend.allocateActivation(rows, columns)
              : backend.allocate(rows, columns);
      buffer.lent = buffer.memory;
    } else if (buffer.lent.rows() != rows) {
      buffer.lent = buffer.memory.firstRows(rows);
    }
    return buffer.lent;
  }

  /** A buffer as {@code [rows, columns]}, filled with zeros, for a kernel that adds to it. */
  Tensor zeroed(String name, int rows, int columns) {
    Tensor buffer = get(name, 0, rows, columns);
    backend.zero(buffer);
    return buffer;
  }

  @Override
  public void close() {
    for (Buffer buffer : buffers.values()) {
      if (buffer.memory != null) {
        buffer.memory.close();
      }
    }
    buffers.clear();
  }
}
