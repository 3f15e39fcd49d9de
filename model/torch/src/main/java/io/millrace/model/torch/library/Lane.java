package io.millrace.model.torch.library;

import io.millrace.model.tensor.Rope;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * What the kernels of one thread reuse: scratch memory, index arrays on the device, and the angles
 * of rotary embeddings.
 */
public final class Lane implements AutoCloseable {

  /** A step of training or sampling has some ten index arrays, used by every layer. */
  private static final int KEPT = 24;

  /** Names of scratch buffers. Two that are in use at once have two names. */
  public enum Scratch {
    FIRST,
    SECOND,
    THIRD
  }

  private record Slot(Scratch name, ScalarType type) {}

  private static final class Buffer {
    Tensor memory;
    long size;
    Tensor view;
    long rows;
    long columns;
  }

  private record Indices(int[] values, ScalarType type, Tensor tensor) {}

  private record Angles(Rope rope, int[] positions, Tensor cos, Tensor sin) {}

  private final TorchMemory memory;
  private final TorchDevice device;
  private final Map<Slot, Buffer> buffers = new HashMap<>();
  private final ArrayDeque<Indices> indices = new ArrayDeque<>();
  private final ArrayDeque<Angles> angles = new ArrayDeque<>();
  private final Map<Rope, RopeTable> ropeTables = new HashMap<>();

  public Lane(TorchMemory memory) {
    this.memory = memory;
    this.device = memory.device();
  }

  public TorchDevice device() {
    return device;
  }

  /** Memory for a kernel, {@code [rows, columns]}, valid until the same name is asked for again. */
  public Tensor scratch(Scratch name, ScalarType type, long rows, long columns) {
    Buffer buffer = buffers.computeIfAbsent(new Slot(name, type), _ -> new Buffer());
    long size = rows * columns;
    if (buffer.size < size) {
      free(buffer, type);
      try (PointerScope _ = new PointerScope()) {
        buffer.memory =
            memory
                .allocate(
                    TorchMemory.Use.SCRATCH,
                    size * Block.bytesOf(type),
                    () -> device.empty(type, size))
                .retainReference();
      }
      buffer.size = size;
    }
    if (buffer.view == null || buffer.rows != rows || buffer.columns != columns) {
      if (buffer.view != null) {
        buffer.view.deallocate();
      }
      try (PointerScope _ = new PointerScope();
          LongOptional start = new LongOptional(0)) {
        buffer.view =
            buffer
                .memory
                .as_strided(new long[] {rows, columns}, new long[] {columns, 1}, start)
                .retainReference();
      }
      buffer.rows = rows;
      buffer.columns = columns;
    }
    return buffer.view;
  }

  private void free(Buffer buffer, ScalarType type) {
    if (buffer.view != null) {
      buffer.view.deallocate();
      buffer.view = null;
    }
    if (buffer.memory != null) {
      buffer.memory.deallocate();
      buffer.memory = null;
      memory.freed(TorchMemory.Use.SCRATCH, buffer.size * Block.bytesOf(type));
      buffer.size = 0;
    }
  }

  /** Indices on the device as int64, {@code [n]}. An array with the same values is sent once. */
  public Tensor longs(int[] values) {
    return kept(values, ScalarType.Long);
  }

  /** As {@link #longs}, as int32. */
  public Tensor ints(int[] values) {
    return kept(values, ScalarType.Int);
  }

  private Tensor kept(int[] values, ScalarType type) {
    for (Indices each : indices) {
      if (each.type == type && Arrays.equals(each.values, values)) {
        return each.tensor;
      }
    }
    try (PointerScope _ = new PointerScope()) {
      Tensor sent = type == ScalarType.Long ? device.longs(values) : device.ints(values);
      indices.addFirst(new Indices(values.clone(), type, sent.retainReference()));
    }
    if (indices.size() > KEPT) {
      indices.removeLast().tensor.deallocate();
    }
    return indices.getFirst().tensor;
  }

  /** Cosines of the angles at some positions, {@code [n, 1, d / 2]}. */
  public Tensor cos(Rope rope, int[] positions) {
    return angles(rope, positions).cos;
  }

  /** Sines of the angles at some positions, {@code [n, 1, d / 2]}. */
  public Tensor sin(Rope rope, int[] positions) {
    return angles(rope, positions).sin;
  }

  private Angles angles(Rope rope, int[] positions) {
    for (Angles each : angles) {
      if (each.rope.equals(rope) && Arrays.equals(each.positions, positions)) {
        return each;
      }
    }
    int highest = 0;
    for (int position : positions) {
      highest = Math.max(highest, position);
    }
    int needed = highest + 1;
    RopeTable table =
        ropeTables.compute(rope, (key, known) -> RopeTable.covering(device, known, key, needed));
    try (PointerScope _ = new PointerScope()) {
      Tensor rows = longs(positions);
      long[] shape = {positions.length, 1, rope.headDim() / 2};
      angles.addFirst(
          new Angles(
              rope,
              positions.clone(),
              Rows.of(table.cos(), rows).view(shape).retainReference(),
              Rows.of(table.sin(), rows).view(shape).retainReference()));
    }
    if (angles.size() > 8) {
      close(angles.removeLast());
    }
    return angles.getFirst();
  }

  private static void close(Angles old) {
    old.cos.deallocate();
    old.sin.deallocate();
  }

  @Override
  public void close() {
    buffers.forEach((slot, buffer) -> free(buffer, slot.type));
    buffers.clear();
    indices.forEach(each -> each.tensor.deallocate());
    indices.clear();
    angles.forEach(Lane::close);
    angles.clear();
    ropeTables.values().forEach(RopeTable::close);
    ropeTables.clear();
  }
}
