package io.millrace.model.llama;

import io.millrace.model.llama.LlamaConfig.ParameterSpec;
import io.millrace.model.tensor.Precision;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.TreeSet;
import java.util.stream.LongStream;

/**
 * The memory that training and sampling take on a device, from the shapes of the tensors that the
 * models allocate. All of it in one process: updates, scores and sampling then read one copy of a
 * frozen base. It leaves out the backend's scratch memory, the libraries' own memory and
 * fragmentation.
 *
 * @param parts in the order of the training loop
 */
public record MemoryPlan(List<Part> parts) {

  /**
   * Memory of one purpose.
   *
   * @param owner {@code update}, {@code write}, {@code score} or {@code sample}: what happens with
   *     it
   * @param name for people
   */
  public record Part(String owner, String name, long bytes) {}

  /**
   * What the memory depends on, beside the model.
   *
   * @param adapter empty if all weights are trained
   * @param precision of activations and products
   * @param partTokens tokens of a micro-batch
   * @param readTokens tokens of a micro-batch whose hidden states are read, at most partTokens
   * @param recompute whether only the input of each layer is kept for the backward pass
   * @param kvTokens tokens in the KV cache for sampling; 0 for no sampling
   * @param copyBytes most memory for copies of weights and moments that are written while updates
   *     run
   * @param critic whether a critic is trained beside the policy
   * @param momentRanks updaters that share the moments of AdamW; 1: each updater has all
   */
  public record Settings(
      Optional<AdapterConfig> adapter,
      Precision precision,
      int partTokens,
      int readTokens,
      boolean recompute,
      long kvTokens,
      long copyBytes,
      boolean critic,
      int momentRanks) {

    /** Checks the counts. */
    public Settings {
      if (partTokens < 1
          || readTokens < 1
          || readTokens > partTokens
          || kvTokens < 0
          || copyBytes < 0
          || momentRanks < 1) {
        throw new IllegalArgumentException(
            "a micro-batch of %d tokens of which %d are read, %d tokens in the KV cache, %d bytes of copies, and moments of %d updaters"
                .formatted(partTokens, readTokens, kvTokens, copyBytes, momentRanks));
      }
    }
  }

  private static final int FLOAT = 4;
  private static final int BFLOAT16 = 2;

  /** The plan for policy, critic if any, reference policy, two reward models and a sampler. */
  public static MemoryPlan of(LlamaConfig config, Settings settings) {
    List<Part> parts = new ArrayList<>();
    Sizes sizes = new Sizes(config, settings);
    long base = sizes.frozen(config.parameters());
    boolean adapted = settings.adapter().isPresent();
    if (adapted) {
      parts.add(new Part("update", "base, frozen", base));
    }
    addTrained(parts, "policy", sizes, sizes.trained(config.parameters(), false));
    if (settings.critic()) {
      addTrained(parts, "critic", sizes, sizes.trained(config.scalarParameters(), true));
    }
    parts.add(new Part("update", "policy: activations and gradients", sizes.training(true)));
    if (settings.critic()) {
      parts.add(new Part("update", "critic: activations and gradients", sizes.training(false)));
    }

    parts.add(new Part("write", "copies of weights and moments", sizes.copies()));

    if (!adapted) {
      parts.add(new Part("score", "reference policy", base));
    }
    long rewardModel =
        sizes.weights(sizes.elements(sizes.trained(config.scalarParameters(), true)));
    parts.add(new Part("score", "two reward models", 2 * rewardModel));
    parts.add(new Part("score", "activations", 3 * sizes.inference()));

    if (settings.kvTokens() > 0) {
      if (!adapted) {
        parts.add(new Part("sample", "policy", base));
      } else {
        parts.add(
            new Part(
                "sample",
                "policy: adapter",
                sizes.weights(sizes.elements(sizes.trained(config.parameters(), false)))));
      }
      parts.add(
          new Part(
              "sample",
              "KV cache of %,d tokens".formatted(settings.kvTokens()),
              settings.kvTokens()
                  * config.layers()
                  * 2
                  * config.kvHeads()
                  * config.headDim()
                  * sizes.activation));
    }
    return new MemoryPlan(parts);
  }

  private static void addTrained(
      List<Part> parts, String model, Sizes sizes, List<ParameterSpec> specs) {
    long elements = sizes.elements(specs);
    parts.add(new Part("update", model + ": trained weights", sizes.weights(elements)));
    parts.add(new Part("update", model + ": gradients", elements * FLOAT));
    parts.add(
        new Part(
            "update",
            model + ": moments of AdamW",
            Math.ceilDiv(elements, sizes.settings.momentRanks()) * 2 * FLOAT));
  }

  /** Bytes of all parts. */
  public long total() {
    return parts.stream().mapToLong(Part::bytes).sum();
  }

  /** Bytes of the parts of one owner. */
  public long total(String owner) {
    return parts.stream().filter(part -> part.owner().equals(owner)).mapToLong(Part::bytes).sum();
  }

  /** The sizes of tensors, in bytes. Names of activations are those of {@link Llama}. */
  private static final class Sizes {
    private final LlamaConfig config;
    private final Settings settings;
    private final long activation;
    private final long h;
    private final long q;
    private final long kv;
    private final long f;

    Sizes(LlamaConfig config, Settings settings) {
      this.config = config;
      this.settings = settings;
      this.activation = settings.precision() == Precision.FLOAT32 ? FLOAT : BFLOAT16;
      this.h = config.hiddenSize();
      this.q = (long) config.heads() * config.headDim();
      this.kv = (long) config.kvHeads() * config.headDim();
      this.f = config.ffnSize();
    }

    List<ParameterSpec> trained(List<ParameterSpec> all, boolean scalar) {
      return settings
          .adapter()
          .map(one -> scalar ? one.scalarParameters(config) : one.parameters(config))
          .orElse(all);
    }

    long elements(List<ParameterSpec> specs) {
      return specs.stream().mapToLong(ParameterSpec::elementCount).sum();
    }

    /** Trained weights, with the copy that products of another precision read. */
    long weights(long elements) {
      return elements * (settings.precision() == Precision.FLOAT32 ? FLOAT : FLOAT + BFLOAT16);
    }

    /** Copies of the last weights and moments of a state that the budget has room for. */
    long copies() {
      long policy = FLOAT * elements(trained(config.parameters(), false));
      long critic = FLOAT * elements(trained(config.scalarParameters(), true));
      long bytes = 0;
      long[] last = settings.critic() ? new long[] {critic, policy} : new long[] {policy};
      if (settings.momentRanks() == 1) {
        // Moments of several updaters are written as they come.
        last = Arrays.stream(last).flatMap(one -> LongStream.of(one, one, one)).toArray();
      }
      for (long tensor : last) {
        if (bytes + tensor > settings.copyBytes()) {
          break;
        }
        bytes += tensor;
      }
      // A version needs its weights alone, which may fit where the last moments do not.
      return Math.max(bytes, policy > settings.copyBytes() ? 0 : policy);
    }

    long frozen(List<ParameterSpec> specs) {
      return specs.stream()
          .mapToLong(spec -> spec.elementCount() * (spec.decay() ? activation : FLOAT))
          .sum();
    }

    /** A layer's activations: of n tokens, of which m attend. */
    private long layer(long n, long m) {
      return n * (h + 2 * kv) + m * (2 * q + 2 * h + 3 * f);
    }

    /** All activations of a training pass and the gradients by them. */
    long training(boolean head) {
      long n = settings.partTokens();
      long m = settings.readTokens();
      long layers = config.layers();
      long values =
          settings.recompute()
              ? layer(n, layers > 1 ? n : m)
              : (layers - 1) * layer(n, n) + layer(n, m);
      values += layers * n * h + m * h; // the inputs of layers, and the last output
      values += 2 * m * h; // out, dhidden
      long most = layers > 1 ? n : m;
      values += most * (h + f + h + q + h); // dx, dgated, dnorm2, dattended, dattending
      if (m < n) {
        values += 2 * m * h + 2 * n * h; // attending, residual; dnorm1, dx of all tokens
      }
      values += adapter(n, true);
      return values * activation + (head ? 0 : 2 * m * FLOAT);
    }

    /** Activations of a pass without a backward pass: one layer's. */
    long inference() {
      long n = settings.partTokens();
      long m = settings.readTokens();
      return (layer(n, n) + 2 * n * h + m * h + adapter(n, false)) * activation;
    }

    private long adapter(long n, boolean backward) {
      if (settings.adapter().isEmpty()) {
        return 0;
      }
      AdapterConfig adapter = settings.adapter().get();
      TreeSet<Long> widths = new TreeSet<>();
      for (ParameterSpec spec : config.trunkParameters()) {
        if (adapter.isTarget(spec.name())) {
          widths.add((long) spec.shape()[0]);
        }
      }
      long change = widths.stream().mapToLong(width -> width).sum();
      return n * (change + (backward ? 2L : 1L) * adapter.rank());
    }
  }
}
