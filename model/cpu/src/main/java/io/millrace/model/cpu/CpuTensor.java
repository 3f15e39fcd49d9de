package io.millrace.model.cpu;

import io.millrace.model.cpu.tiles.Matrix;
import io.millrace.model.tensor.Arguments;
import io.millrace.model.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicLong;

/** A tensor in native memory, dense and row-major. */
final class CpuTensor implements Tensor {

  /** A cache line: tensors do not share one, and aligned vectors do not span two. */
  private static final long ALIGNMENT = 64;

  private static final AtomicLong BYTES = new AtomicLong();
  private static final AtomicLong PEAK_BYTES = new AtomicLong();

  private final MemorySegment memory;
  private final int[] shape;
  private final int rows;
  private final int columns;

  /** The memory of the tensor; null for a slice. */
  private final Arena owned;

  private CpuTensor(MemorySegment memory, int[] shape, Arena owned) {
    this.memory = memory;
    this.shape = shape;
    this.columns = shape[shape.length - 1];
    this.rows = Math.toIntExact(memory.byteSize() / Float.BYTES / columns);
    this.owned = owned;
  }

  /** A tensor of zeros. */
  static CpuTensor allocate(int... shape) {
    long size = Arguments.requireShape(shape);
    Arena arena = Arena.ofShared();
    PEAK_BYTES.accumulateAndGet(BYTES.addAndGet(size * Float.BYTES), Math::max);
    return new CpuTensor(arena.allocate(size * Float.BYTES, ALIGNMENT), shape.clone(), arena);
  }

  /** Memory of all tensors of this process, in bytes. */
  static long bytes() {
    return BYTES.get();
  }

  /** Peak memory of all tensors of this process, in bytes. */
  static long peakBytes() {
    return PEAK_BYTES.get();
  }

  /** The tensor of this backend; null for null. */
  static CpuTensor of(Tensor tensor) {
    return (CpuTensor) tensor;
  }

  /** The memory of exactly the tensor's elements. */
  MemorySegment memory() {
    return memory;
  }

  /** Address of the element with the given index, for native code. */
  long address(long index) {
    return memory.address() + index * Float.BYTES;
  }

  @Override
  public int[] shape() {
    return shape.clone();
  }

  @Override
  public long size() {
    return memory.byteSize() / Float.BYTES;
  }

  @Override
  public int columns() {
    return columns;
  }

  @Override
  public int rows() {
    return rows;
  }

  @Override
  public CpuTensor slice(long offset, int... part) {
    long length = Arguments.requireSlice(this, offset, part);
    return new CpuTensor(
        memory.asSlice(offset * Float.BYTES, length * Float.BYTES), part.clone(), null);
  }

  @Override
  public void read(long offset, float[] target, int targetOffset, int length) {
    Objects.checkFromIndexSize(targetOffset, length, target.length);
    Arguments.requireRange(this, offset, length);
    MemorySegment.copy(
        memory, ValueLayout.JAVA_FLOAT, offset * Float.BYTES, target, targetOffset, length);
  }

  @Override
  public void write(long offset, float[] source, int sourceOffset, int length) {
    Objects.checkFromIndexSize(sourceOffset, length, source.length);
    Arguments.requireRange(this, offset, length);
    MemorySegment.copy(
        source, sourceOffset, memory, ValueLayout.JAVA_FLOAT, offset * Float.BYTES, length);
  }

  @Override
  public void close() {
    if (owned != null && owned.scope().isAlive()) {
      owned.close();
      BYTES.addAndGet(-memory.byteSize());
    }
  }

  @Override
  public String toString() {
    return "Tensor" + Arrays.toString(shape);
  }

  /** The tensor as a matrix, for kernels that work on addresses. */
  Matrix matrix() {
    return Matrix.ofRows(address(0), columns());
  }
}
