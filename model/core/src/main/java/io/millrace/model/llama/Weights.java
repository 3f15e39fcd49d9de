package io.millrace.model.llama;

import io.millrace.model.llama.LlamaConfig.ParameterSpec;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Tensor;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;

/**
 * What a model computes with: weights that are all trained, or the trained parameters of an adapter
 * on frozen weights.
 */
public final class Weights implements AutoCloseable {

  private final Parameters trained;
  private final FrozenWeights frozen;
  private final AdapterConfig adapter;
  private final Map<String, LowRank> lowRank = new HashMap<>();

  /**
   * The two factors of an adapter's product.
   *
   * @param a A, {@code [rank, in]}
   * @param b B, {@code [out, rank]}
   */
  record LowRank(Tensor a, Tensor b) {}

  private Weights(Parameters trained, FrozenWeights frozen, AdapterConfig adapter) {
    this.trained = trained;
    this.frozen = frozen;
    this.adapter = adapter;
    if (adapter != null) {
      for (ParameterSpec spec : frozen.specs()) {
        if (adapter.isTarget(spec.name())) {
          lowRank.put(
              spec.name(),
              new LowRank(
                  trained.get(AdapterConfig.a(spec.name())),
                  trained.get(AdapterConfig.b(spec.name()))));
        }
      }
    }
  }

  /** Weights that are all trained. */
  public static Weights trained(Parameters trained) {
    return new Weights(trained, null, null);
  }

  /**
   * An adapter on frozen weights.
   *
   * @param frozen shared with other models; closing these weights ends one use
   * @param trained the adapter's parameters, and the scalar head of a reward model or critic
   */
  public static Weights adapter(FrozenWeights frozen, AdapterConfig adapter, Parameters trained) {
    return new Weights(trained, frozen, adapter);
  }

  /**
   * Frozen weights as they are, for a model that is not trained.
   *
   * @param frozen shared with other models; closing these weights ends one use
   */
  public static Weights frozen(FrozenWeights frozen) {
    return new Weights(null, frozen, null);
  }

  /**
   * The parameters of an adapter that changes nothing yet: B and a scalar head are 0, A is uniform
   * in ±1/√in as in PEFT.
   *
   * @param specs of {@link AdapterConfig#parameters} or {@link AdapterConfig#scalarParameters}
   */
  public static Parameters initial(Backend backend, List<ParameterSpec> specs, long seed) {
    Parameters parameters = Parameters.zeros(backend, specs);
    SplittableRandom random = new SplittableRandom(seed);
    for (ParameterSpec spec : specs) {
      if (AdapterConfig.isA(spec.name())) {
        double bound = 1 / Math.sqrt(spec.shape()[1]);
        float[] values = new float[Math.toIntExact(spec.elementCount())];
        for (int i = 0; i < values.length; i++) {
          values[i] = (float) random.nextDouble(-bound, bound);
        }
        parameters.get(spec.name()).write(values);
      }
    }
    return parameters;
  }

  /**
   * The parameters that training changes.
   *
   * @throws IllegalStateException if all weights are frozen
   */
  public Parameters trained() {
    if (trained == null) {
      throw new IllegalStateException(
          "all weights of this model are frozen; load it to be trained");
    }
    return trained;
  }

  /** The adapter; null if all weights are trained. */
  public AdapterConfig adapter() {
    return adapter;
  }

  /** The frozen weights below an adapter; null if all weights are trained. */
  public FrozenWeights frozen() {
    return frozen;
  }

  /** Weights by name, without the adapter's product. */
  Tensor get(String name) {
    return frozen == null || (trained != null && trained.contains(name))
        ? trained.get(name)
        : frozen.get(name);
  }

  /** The adapter's factors for the weights with this name; null if they have none. */
  LowRank lowRank(String name) {
    return lowRank.get(name);
  }

  @Override
  public void close() {
    if (trained != null) {
      trained.close();
    }
    if (frozen != null) {
      frozen.close();
    }
  }
}
