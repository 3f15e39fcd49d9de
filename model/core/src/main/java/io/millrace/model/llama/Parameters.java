package io.millrace.model.llama;

import io.millrace.model.llama.LlamaConfig.ParameterSpec;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Tensor;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;

/**
 * Named tensors in one piece of memory, so that an optimizer's update, a gradient's norm and a
 * Flink checkpoint each walk over one tensor. Those that weight decay applies to come first.
 */
public final class Parameters implements AutoCloseable {

  private final Backend backend;
  private final List<ParameterSpec> specs;
  private final Tensor flat;
  private final Tensor decayed;
  private final Tensor undecayed;
  private final Map<String, Tensor> byName = new LinkedHashMap<>();

  private Parameters(Backend backend, List<ParameterSpec> specs) {
    this.backend = backend;
    this.specs = List.copyOf(specs);
    List<ParameterSpec> order = new ArrayList<>();
    specs.stream().filter(ParameterSpec::decay).forEach(order::add);
    int boundary = elements(order);
    specs.stream().filter(spec -> !spec.decay()).forEach(order::add);
    int total = elements(order);
    this.flat = backend.allocate(total);
    this.decayed = flat.slice(0, boundary);
    this.undecayed = flat.slice(boundary, total - boundary);
    Map<String, Tensor> slices = new LinkedHashMap<>();
    long offset = 0;
    for (ParameterSpec spec : order) {
      slices.put(spec.name(), flat.slice(offset, spec.shape()));
      offset += spec.elementCount();
    }
    specs.forEach(spec -> byName.put(spec.name(), slices.get(spec.name())));
  }

  private static int elements(List<ParameterSpec> specs) {
    long count = specs.stream().mapToLong(ParameterSpec::elementCount).sum();
    if (count > Integer.MAX_VALUE) {
      throw new IllegalArgumentException(
          "a model of %,d parameters is above the limit of %,d"
              .formatted(count, Integer.MAX_VALUE));
    }
    return (int) count;
  }

  /** Parameters of zeros; also what gradients and moments are kept in. */
  public static Parameters zeros(Backend backend, List<ParameterSpec> specs) {
    return new Parameters(backend, specs);
  }

  /**
   * A model to be trained from nothing: norms' weights 1, all else from a normal distribution with
   * deviation 0.02 (GPT-2's and Llama's initialisation).
   */
  public static Parameters random(Backend backend, List<ParameterSpec> specs, long seed) {
    Parameters parameters = zeros(backend, specs);
    SplittableRandom random = new SplittableRandom(seed);
    for (ParameterSpec spec : specs) {
      float[] values = new float[Math.toIntExact(spec.elementCount())];
      for (int i = 0; i < values.length; i++) {
        values[i] = spec.decay() ? (float) (0.02 * random.nextGaussian()) : 1;
      }
      parameters.get(spec.name()).write(values);
    }
    return parameters;
  }

  public List<ParameterSpec> specs() {
    return specs;
  }

  /** All elements as one vector. */
  public Tensor flat() {
    return flat;
  }

  /** The elements that weight decay applies to. */
  public Tensor decayed() {
    return decayed;
  }

  /** The elements that it does not apply to: norms' weights. */
  public Tensor undecayed() {
    return undecayed;
  }

  public boolean contains(String name) {
    return byName.containsKey(name);
  }

  public Tensor get(String name) {
    Tensor tensor = byName.get(name);
    if (tensor == null) {
      throw new IllegalArgumentException("no parameter " + name + "; there are " + byName.keySet());
    }
    return tensor;
  }

  /**
   * Copies every parameter that both have, by name: a reward model starts from a policy's trunk.
   */
  public void copyCommonFrom(Parameters other) {
    byName.forEach(
        (name, tensor) -> {
          if (other.contains(name)) {
            backend.copy(tensor, other.get(name));
          }
        });
  }

  @Override
  public void close() {
    flat.close();
  }
}
