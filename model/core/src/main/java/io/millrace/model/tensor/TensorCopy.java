package io.millrace.model.tensor;

import io.millrace.schemas.state.CopyBudget;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * A copy of a tensor on its device, which another thread reads while the original changes. Copying
 * there is far faster than reading the tensor to the host.
 */
public final class TensorCopy implements AutoCloseable {

  private final Backend backend;
  private final Tensor tensor;
  private final CopyBudget budget;

  /** What memory fits: a backend and a shape. */
  private record Kind(Backend backend, List<Integer> shape) {
    Kind(Backend backend, Tensor tensor) {
      this(backend, Arrays.stream(tensor.shape()).boxed().toList());
    }
  }

  private TensorCopy(Backend backend, Tensor tensor, CopyBudget budget) {
    this.backend = backend;
    this.tensor = tensor;
    this.budget = budget;
  }

  /**
   * Copies a float32 tensor. The thread that uses the backend calls this.
   *
   * @return empty if the budget or the device has no memory for it
   */
  public static Optional<TensorCopy> of(Backend backend, Tensor source, CopyBudget budget) {
    Optional<Tensor> memory = budget.reuse(new Kind(backend, source), Tensor.class);
    if (memory.isPresent()) {
      backend.thaw(memory.get());
    } else {
      memory = allocate(backend, source, budget);
    }
    return memory.map(
        tensor -> {
          TensorCopy copy = new TensorCopy(backend, tensor, budget);
          try {
            backend.copy(tensor, source);
            backend.freeze(tensor);
            return copy;
          } catch (RuntimeException e) {
            copy.close();
            throw e;
          }
        });
  }

  private static Optional<Tensor> allocate(Backend backend, Tensor source, CopyBudget budget) {
    long bytes = bytes(source);
    if (!budget.take(bytes)) {
      return Optional.empty();
    }
    try {
      return Optional.of(backend.allocate(source.shape()));
    } catch (RuntimeException e) {
      budget.give(bytes);
      if (e instanceof OutOfDeviceMemoryException) {
        return Optional.empty();
      }
      throw e;
    }
  }

  private static long bytes(Tensor tensor) {
    return Float.BYTES * tensor.size();
  }

  /** The copy, to be read. */
  public Tensor tensor() {
    return tensor;
  }

  @Override
  public void close() {
    budget.keep(new Kind(backend, tensor), bytes(tensor), tensor, tensor::close);
  }
}
