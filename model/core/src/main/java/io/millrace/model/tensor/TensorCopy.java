package io.millrace.model.tensor;

import io.millrace.schemas.state.CopyBudget;
import java.util.Optional;

/**
 * A copy of a tensor on its device, which another thread reads while the original changes. Copying
 * there is far faster than reading the tensor to the host.
 */
public final class TensorCopy implements AutoCloseable {

  private final Tensor tensor;
  private final CopyBudget budget;
  private final long bytes;

  private TensorCopy(Tensor tensor, CopyBudget budget, long bytes) {
    this.tensor = tensor;
    this.budget = budget;
    this.bytes = bytes;
  }

  /**
   * Copies a float32 tensor. The thread that uses the backend calls this.
   *
   * @return empty if the budget or the device has no memory for it
   */
  public static Optional<TensorCopy> of(Backend backend, Tensor source, CopyBudget budget) {
    long bytes = Float.BYTES * source.size();
    if (!budget.take(bytes)) {
      return Optional.empty();
    }
    Tensor tensor = null;
    try {
      tensor = backend.allocate(source.shape());
      backend.copy(tensor, source);
      backend.freeze(tensor);
      return Optional.of(new TensorCopy(tensor, budget, bytes));
    } catch (RuntimeException e) {
      if (tensor != null) {
        tensor.close();
      }
      budget.give(bytes);
      if (e instanceof OutOfDeviceMemoryException) {
        return Optional.empty();
      }
      throw e;
    }
  }

  /** The copy, to be read. */
  public Tensor tensor() {
    return tensor;
  }

  @Override
  public void close() {
    tensor.close();
    budget.give(bytes);
  }
}
