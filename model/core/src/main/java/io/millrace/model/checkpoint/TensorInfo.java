package io.millrace.model.checkpoint;

import java.util.Arrays;
import java.util.Objects;

/**
 * Type, shape and position of a tensor in a safetensors file.
 *
 * @param dtype element type
 * @param shape sizes, outermost first; empty for a scalar
 * @param begin first byte, counted from the end of the header
 * @param end byte after the last
 */
public record TensorInfo(DType dtype, long[] shape, long begin, long end) {
  /** Copies the shape. */
  public TensorInfo {
    Objects.requireNonNull(dtype, "dtype");
    shape = shape.clone();
  }

  /** Sizes, outermost first; a copy. */
  @Override
  public long[] shape() {
    return shape.clone();
  }

  /** Number of elements. */
  public long elementCount() {
    long count = 1;
    for (long size : shape) {
      count = Math.multiplyExact(count, size);
    }
    return count;
  }

  /** Number of bytes. */
  public long byteCount() {
    return end - begin;
  }

  /** Whether the tensor has the given shape. */
  boolean hasShape(int[] expected) {
    return Arrays.equals(shape, Arrays.stream(expected).asLongStream().toArray());
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof TensorInfo info
        && dtype == info.dtype
        && Arrays.equals(shape, info.shape)
        && begin == info.begin
        && end == info.end;
  }

  @Override
  public int hashCode() {
    return Objects.hash(dtype, Arrays.hashCode(shape), begin, end);
  }

  @Override
  public String toString() {
    return dtype + Arrays.toString(shape);
  }
}
