package io.millrace.model.torch.library;

import io.millrace.model.tensor.Arguments;
import java.util.Arrays;
import java.util.Objects;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * A range of a {@link Block} with a shape. libtorch's views of it are made when a kernel asks for
 * them, and kept: a view costs as much as a call. {@link Views} bounds their number, so that the
 * views of slices that nobody uses any more do not pile up. Several threads may read one tensor at
 * once: frozen weights below adapters.
 */
public final class TorchTensor implements io.millrace.model.tensor.Tensor {

  private final Block block;
  private final Views views;
  private final long offset;
  private final int[] shape;
  private final long size;
  private final boolean owner;
  private Tensor vector;
  private Tensor matrix;
  private Tensor computeMatrix;

  public TorchTensor(Block block, Views views, long offset, int[] shape, boolean owner) {
    this.block = block;
    this.views = views;
    this.offset = offset;
    this.shape = shape.clone();
    this.owner = owner;
    long elements = 1;
    for (int dimension : shape) {
      elements *= dimension;
    }
    this.size = elements;
  }

  public Block block() {
    return block;
  }

  public long offset() {
    return offset;
  }

  public ScalarType type() {
    return block.type();
  }

  /** The elements as {@code [size]}, to be read. */
  public synchronized Tensor vector() {
    if (vector == null) {
      vector = view(block.elements(), size);
    }
    return vector;
  }

  /** The elements as {@code [rows, columns]}, to be read. */
  public synchronized Tensor matrix() {
    if (matrix == null) {
      matrix = view(block.elements(), rows(), columns());
    }
    return matrix;
  }

  /** As {@link #vector}, for a kernel that writes. */
  public Tensor writtenVector() {
    block.written();
    return vector();
  }

  /** As {@link #matrix}, for a kernel that writes. */
  public Tensor writtenMatrix() {
    block.written();
    return matrix();
  }

  /** The elements in the type of a product, {@code [rows, columns]}, to be read. */
  public synchronized Tensor matrixAs(ScalarType type) {
    if (type == block.type()) {
      return matrix();
    }
    Tensor elements = block.elementsAs(type);
    if (computeMatrix == null) {
      computeMatrix = view(elements, rows(), columns());
    }
    return computeMatrix;
  }

  private Tensor view(Tensor elements, long... sizes) {
    long[] strides = sizes.length == 1 ? new long[] {1} : new long[] {sizes[1], 1};
    // Without a scope of its own the view would end with the kernel that asked for it.
    try (PointerScope _ = new PointerScope();
        LongOptional start = new LongOptional(offset)) {
      Tensor view = elements.as_strided(sizes, strides, start).retainReference();
      block.viewedBy(this);
      if (!block.isFrozen()) {
        views.add(this);
      }
      return view;
    }
  }

  /** Makes the block readable by other backends, and no longer writable. */
  public void freeze() {
    views.forget(block);
    try (PointerScope _ = new PointerScope()) {
      block.device().awaitKernels();
    }
    block.freeze();
  }

  /** Frees the views; they are made again when a kernel asks for them. */
  public synchronized void dropViews() {
    for (Tensor view : new Tensor[] {vector, matrix, computeMatrix}) {
      if (view != null) {
        view.deallocate();
      }
    }
    vector = null;
    matrix = null;
    computeMatrix = null;
  }

  @Override
  public int[] shape() {
    return shape.clone();
  }

  @Override
  public long size() {
    return size;
  }

  @Override
  public int columns() {
    return shape[shape.length - 1];
  }

  @Override
  public int rows() {
    return Math.toIntExact(size / columns());
  }

  @Override
  public TorchTensor slice(long from, int... sizes) {
    long _ = Arguments.requireSlice(this, from, sizes);
    return new TorchTensor(block, views, offset + from, sizes, false);
  }

  @Override
  public void read(long from, float[] target, int targetOffset, int length) {
    Arguments.requireRange(this, from, length);
    Objects.checkFromIndexSize(targetOffset, length, target.length);
    try (PointerScope _ = new PointerScope()) {
      if (block.isFrozen()) {
        block.device().readFrozen(range(from, length), target, targetOffset, length);
      } else {
        block.device().read(range(from, length), target, targetOffset, length);
      }
    }
  }

  @Override
  public void write(long from, float[] source, int sourceOffset, int length) {
    Arguments.requireRange(this, from, length);
    Objects.checkFromIndexSize(sourceOffset, length, source.length);
    block.written();
    try (PointerScope _ = new PointerScope()) {
      block.device().write(range(from, length), source, sourceOffset, length);
    }
  }

  private Tensor range(long from, int length) {
    return block.elements().narrow(0, offset + from, length);
  }

  @Override
  public void close() {
    if (owner) {
      block.close();
    }
  }

  @Override
  public String toString() {
    return "Tensor" + Arrays.toString(shape);
  }
}
