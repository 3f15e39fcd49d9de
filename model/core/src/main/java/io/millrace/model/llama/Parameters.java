package io.millrace.model.llama;

import io.millrace.model.llama.LlamaConfig.ParameterSpec;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Tensor;
import io.millrace.model.tensor.TensorCopy;
import io.millrace.schemas.state.CopyBudget;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.zip.CRC32C;

/**
 * Named tensors in one block of memory. An optimizer update, a gradient norm and a Flink checkpoint
 * each work on one tensor. The tensors with weight decay come first.
 */
public final class Parameters implements AutoCloseable {

  /** Elements that are read at once. */
  private static final int CHUNK = 1 << 16;

  private final Backend backend;
  private final List<ParameterSpec> specs;
  private final Tensor flat;
  private final Tensor decayed;
  private final Tensor undecayed;
  private final Map<String, Tensor> byName = new LinkedHashMap<>();

  /** What owns the memory of a copy; null for parameters that are no copy. */
  private final TensorCopy copy;

  private Parameters(Backend backend, List<ParameterSpec> specs, TensorCopy copy) {
    this.backend = backend;
    this.specs = List.copyOf(specs);
    List<ParameterSpec> order = new ArrayList<>();
    specs.stream().filter(ParameterSpec::decay).forEach(order::add);
    int boundary = elements(order);
    specs.stream().filter(spec -> !spec.decay()).forEach(order::add);
    int total = elements(order);
    this.flat = copy == null ? backend.allocate(total) : copy.tensor();
    this.copy = copy;
    this.decayed = flat.slice(0, boundary);
    this.undecayed = boundary == total ? null : flat.slice(boundary, total - boundary);
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
          "a model of %,d parameters is above the limit of %,d, the length of one tensor"
              .formatted(count, Integer.MAX_VALUE));
    }
    return (int) count;
  }

  /** Parameters filled with zeros; also used for gradients and moments. */
  public static Parameters zeros(Backend backend, List<ParameterSpec> specs) {
    return new Parameters(backend, specs, null);
  }

  /**
   * Random weights to train from scratch. The gains of norms are 1. All other values come from a
   * normal distribution with mean 0 and standard deviation 0.02 (GPT-2's initialisation; Hugging
   * Face's default for Llama).
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

  /** Name and shape of every tensor, in the order given. */
  public List<ParameterSpec> specs() {
    return specs;
  }

  /** All elements as one vector: those of {@link #decayed}, then those of {@link #undecayed}. */
  public Tensor flat() {
    return flat;
  }

  /** The elements with weight decay. */
  public Tensor decayed() {
    return decayed;
  }

  /** The elements without weight decay: the gains of norms. Empty for an adapter. */
  public Optional<Tensor> undecayed() {
    return Optional.ofNullable(undecayed);
  }

  /** A tensor by name, or null if there is none: a gradient of frozen weights. */
  Tensor find(String name) {
    return byName.get(name);
  }

  public boolean contains(String name) {
    return byName.containsKey(name);
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
          "no parameter '" + name + "'; there are " + byName.keySet());
    }
    return tensor;
  }

  /**
   * Copies the parameters that both have, by name. A reward model starts from the trunk of a policy
   * this way.
   */
  public void copyCommonFrom(Parameters other) {
    byName.forEach(
        (name, tensor) -> {
          if (other.contains(name)) {
            backend.copy(tensor, other.get(name));
          }
        });
  }

  /** A checksum of all bits. */
  public long checksum() {
    CRC32C sum = new CRC32C();
    float[] values = new float[(int) Math.min(CHUNK, flat.size())];
    ByteBuffer bytes = ByteBuffer.allocate(Float.BYTES * values.length);
    for (long offset = 0; offset < flat.size(); offset += values.length) {
      int length = (int) Math.min(values.length, flat.size() - offset);
      flat.read(offset, values, 0, length);
      bytes.asFloatBuffer().put(values, 0, length);
      sum.update(bytes.array(), 0, Float.BYTES * length);
    }
    return sum.getValue();
  }

  /**
   * A copy that another thread reads while these parameters change. The caller closes it.
   *
   * @return empty if there is no memory for it
   */
  public Optional<Parameters> copy(CopyBudget budget) {
    return TensorCopy.of(backend, flat, budget).map(made -> new Parameters(backend, specs, made));
  }

  @Override
  public void close() {
    if (copy == null) {
      flat.close();
    } else {
      copy.close();
    }
  }
}
