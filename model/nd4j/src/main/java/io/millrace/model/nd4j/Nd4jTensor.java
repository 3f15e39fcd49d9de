package io.millrace.model.nd4j;

import io.millrace.model.tensor.Arguments;
import io.millrace.model.tensor.Tensor;
import java.util.Arrays;
import java.util.Objects;
import org.bytedeco.javacpp.FloatPointer;
import org.nd4j.linalg.api.buffer.DataBuffer;
import org.nd4j.linalg.api.concurrency.AffinityManager;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/** A tensor over an ND4J array: off-heap, dense and row-major ("c" order). */
final class Nd4jTensor implements Tensor {

  private final INDArray flat;
  private final int[] shape;
  private final boolean owner;
  private INDArray matrix;

  private Nd4jTensor(INDArray flat, int[] shape, boolean owner) {
    this.flat = flat;
    this.shape = shape;
    this.owner = owner;
  }

  static Nd4jTensor owning(INDArray flat, int... shape) {
    return new Nd4jTensor(flat, shape.clone(), true);
  }

  /** The elements as one vector. */
  INDArray vector() {
    return flat;
  }

  /** The elements as {@code [rows, columns]}. */
  INDArray matrix() {
    if (matrix == null) {
      matrix = flat.reshape('c', rows(), columns());
    }
    return matrix;
  }

  @Override
  public int[] shape() {
    return shape.clone();
  }

  @Override
  public long size() {
    return flat.length();
  }

  @Override
  public int columns() {
    return shape[shape.length - 1];
  }

  @Override
  public int rows() {
    return Math.toIntExact(size() / columns());
  }

  @Override
  public Nd4jTensor slice(long offset, int... shape) {
    long length = Arguments.requireSlice(this, offset, shape);
    INDArray view =
        Nd4j.create(flat.data(), new long[] {length}, new long[] {1}, flat.offset() + offset, 'c');
    return new Nd4jTensor(view, shape.clone(), false);
  }

  /** Some rows of a dense matrix, over the same memory. */
  static INDArray rows(INDArray matrix, long from, long count) {
    return Nd4j.create(
        matrix.data(),
        new long[] {count, matrix.columns()},
        new long[] {matrix.columns(), 1},
        matrix.offset() + from * matrix.columns(),
        'c');
  }

  @Override
  public void read(long offset, float[] target, int targetOffset, int length) {
    Objects.checkFromIndexSize(targetOffset, length, target.length);
    pointer(offset, length).get(target, targetOffset, length);
  }

  @Override
  public void write(long offset, float[] source, int sourceOffset, int length) {
    Objects.checkFromIndexSize(sourceOffset, length, source.length);
    pointer(offset, length).put(source, sourceOffset, length);
    Nd4j.getAffinityManager().tagLocation(flat, AffinityManager.Location.HOST);
  }

  private FloatPointer pointer(long offset, int length) {
    Arguments.requireRange(this, offset, length);
    Nd4j.getAffinityManager().ensureLocation(flat, AffinityManager.Location.HOST);
    DataBuffer data = flat.data();
    return new FloatPointer(data.pointer()).position(flat.offset() + offset);
  }

  @Override
  public void close() {
    if (owner && flat.closeable()) {
      flat.close();
    }
  }

  @Override
  public String toString() {
    return "Tensor" + Arrays.toString(shape);
  }
}
