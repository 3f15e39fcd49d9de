package io.millrace.model.llama;

import io.millrace.model.llama.LlamaConfig.ParameterSpec;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Tensor;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BiConsumer;

/**
 * Weights that are not trained, loaded once for all models with an adapter on them, also models on
 * other backends of the same {@link Backend#frozenGroup}. Every model that uses them is a user; the
 * last user to close frees them.
 */
public final class FrozenWeights implements AutoCloseable {

  private final List<ParameterSpec> specs;
  private final Map<String, Tensor> byName = new LinkedHashMap<>();
  private int users = 1;

  private FrozenWeights(List<ParameterSpec> specs) {
    this.specs = List.copyOf(specs);
  }

  /**
   * Weights of some shapes. Matrices have the precision of activations: nothing updates them.
   *
   * @param fill writes the values of each tensor, all 0 before
   */
  public static FrozenWeights of(
      Backend backend, List<ParameterSpec> specs, BiConsumer<ParameterSpec, Tensor> fill) {
    FrozenWeights weights = new FrozenWeights(specs);
    try {
      for (ParameterSpec spec : specs) {
        Tensor tensor =
            spec.decay()
                ? backend.allocateActivation(spec.shape())
                : backend.allocate(spec.shape());
        weights.byName.put(spec.name(), tensor);
        fill.accept(spec, tensor);
        backend.freeze(tensor);
      }
      return weights;
    } catch (RuntimeException e) {
      weights.close();
      throw e;
    }
  }

  /** Name and shape of every tensor, in the order given. */
  public List<ParameterSpec> specs() {
    return specs;
  }

  /**
   * A tensor by name.
   *
   * @throws IllegalArgumentException if there is none
   */
  public Tensor get(String name) {
    Tensor tensor = byName.get(name);
    if (tensor == null) {
      throw new IllegalArgumentException(
          "no frozen weights '" + name + "'; there are " + byName.keySet());
    }
    return tensor;
  }

  /** Adds a user, which closes these weights once. */
  public synchronized FrozenWeights share() {
    if (users == 0) {
      throw new IllegalStateException("the frozen weights were freed; load them again");
    }
    users++;
    return this;
  }

  /** Whether the last user has closed these weights. */
  public synchronized boolean isFreed() {
    return users == 0;
  }

  @Override
  public synchronized void close() {
    if (users > 0 && --users == 0) {
      byName.values().forEach(Tensor::close);
    }
  }
}
