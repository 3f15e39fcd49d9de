package io.millrace.model.torch.library;

import java.util.HashSet;
import java.util.Set;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * The memory of a tensor and of its slices.
 *
 * <p>{@link #version} counts the writes. Whoever keeps something that was computed from the
 * elements compares versions to see whether it still holds.
 *
 * <p>A frozen block is read by all backends of the device and outlives the one that made it. Its
 * views stay until it is closed: no thread can free one that another thread is using.
 */
public final class Block {

  private final TorchMemory memory;
  private final TorchDevice device;
  private TorchMemory.Use use;
  private volatile boolean frozen;
  private final ScalarType type;
  private final long size;
  private final Set<TorchTensor> viewed = new HashSet<>();
  private Tensor elements;
  private long version;
  private Tensor copy;
  private ScalarType copyType;
  private long copiedVersion;
  private AttentionMemo memo;

  public Block(TorchMemory memory, TorchMemory.Use use, ScalarType type, long size) {
    this.memory = memory;
    this.device = memory.device();
    this.use = use;
    this.type = type;
    this.size = size;
    try (PointerScope _ = new PointerScope()) {
      this.elements =
          memory.allocate(use, bytes(), () -> device.zeros(type, size)).retainReference();
    }
    device.retain();
  }

  public long size() {
    return size;
  }

  public ScalarType type() {
    return type;
  }

  public TorchDevice device() {
    return device;
  }

  private long bytes() {
    return size * bytesOf(type);
  }

  public static int bytesOf(ScalarType type) {
    return switch (type) {
      case BFloat16 -> 2;
      case Float, Int -> 4;
      default -> 8;
    };
  }

  /** All elements, {@code [size]}. */
  public Tensor elements() {
    if (elements == null) {
      throw new IllegalStateException("the tensor is closed");
    }
    return elements;
  }

  public long version() {
    return version;
  }

  /** Records that a kernel or the host writes to the elements. */
  public void written() {
    if (frozen) {
      throw new IllegalStateException(
          "a kernel or the host writes to a frozen tensor of %,d elements; other models read it: copy it and change the copy"
              .formatted(size));
    }
    version++;
  }

  /** Refuses writes from now on. Called before another thread knows the block. */
  synchronized void freeze() {
    viewed.forEach(TorchTensor::dropViews);
    viewed.clear();
    memory.moved(use, TorchMemory.Use.FROZEN, bytes());
    use = TorchMemory.Use.FROZEN;
    frozen = true;
  }

  /** Allows writes again, after all other threads have finished reading. */
  public void thaw() {
    frozen = false;
  }

  boolean isFrozen() {
    return frozen;
  }

  /** A copy of all elements in another type, made again if they changed since. */
  public synchronized Tensor elementsAs(ScalarType other) {
    if (copy == null) {
      try (PointerScope _ = new PointerScope()) {
        copy =
            memory
                .allocate(
                    TorchMemory.Use.COMPUTE_COPIES,
                    size * bytesOf(other),
                    () -> device.empty(other, size))
                .retainReference();
      }
      copyType = other;
      copiedVersion = -1;
    }
    if (copiedVersion != version) {
      copy.copy_(elements());
      copiedVersion = version;
    }
    return copy;
  }

  /** What the last attention that read this block's queries left for its backward pass. */
  public AttentionMemo memo() {
    return memo;
  }

  public void keep(AttentionMemo next) {
    if (memo != null) {
      memo.close();
    }
    memo = next;
  }

  /** Makes the block close the views of a tensor when it is closed. */
  public synchronized void viewedBy(TorchTensor tensor) {
    viewed.add(tensor);
  }

  public synchronized void forget(TorchTensor tensor) {
    viewed.remove(tensor);
  }

  public void close() {
    if (elements == null) {
      return;
    }
    keep(null);
    viewed.forEach(TorchTensor::dropViews);
    viewed.clear();
    if (copy != null) {
      copy.deallocate();
      copy = null;
      memory.freed(TorchMemory.Use.COMPUTE_COPIES, size * bytesOf(copyType));
    }
    elements.deallocate();
    elements = null;
    memory.freed(use, bytes());
    device.close();
  }
}
