package io.millrace.model.llama;

import io.millrace.model.llama.LlamaConfig.ParameterSpec;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;

/**
 * A low-rank adapter (LoRA; Hu et al., arXiv 2106.09685, section 4.1). Each target projection W
 * {@code [out, in]} stays frozen and computes
 *
 * <pre>
 *   y = W · x + scale · B · A · x      with A [rank, in], B [out, rank] and scale = alpha / rank
 * </pre>
 *
 * @param rank r, at least 1
 * @param alpha α, above 0
 * @param targets names of projections, of {@link #PROJECTIONS}, at least one; kept in their order
 *     there
 */
public record AdapterConfig(int rank, double alpha, List<String> targets) {

  /** The projections of a layer that can have an adapter, under Hugging Face's names. */
  public static final List<String> PROJECTIONS =
      List.of("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj");

  private static final String A = ".lora_A.weight";
  private static final String B = ".lora_B.weight";
  private static final String WEIGHT = ".weight";

  /**
   * Checks every field.
   *
   * @throws IllegalArgumentException naming the field and its value
   */
  public AdapterConfig {
    if (rank < 1) {
      throw new IllegalArgumentException("rank must be at least 1, not " + rank);
    }
    if (!(alpha > 0) || Double.isInfinite(alpha)) {
      throw new IllegalArgumentException("alpha must be above 0, not " + alpha);
    }
    for (String target : targets) {
      if (!PROJECTIONS.contains(target)) {
        throw new IllegalArgumentException(
            "targets must be of %s, not '%s'".formatted(String.join(", ", PROJECTIONS), target));
      }
    }
    if (targets.isEmpty() || new TreeSet<>(targets).size() < targets.size()) {
      throw new IllegalArgumentException(
          "targets must name projections once each, at least one, not " + targets);
    }
    List<String> given = targets;
    targets = PROJECTIONS.stream().filter(given::contains).toList();
  }

  /** The factor of the adapter's product: alpha / rank. */
  public double scale() {
    return alpha / rank;
  }

  /** A and B of every target projection, in the order of the model's parameters. */
  public List<ParameterSpec> parameters(LlamaConfig config) {
    List<ParameterSpec> specs = new ArrayList<>();
    for (ParameterSpec spec : config.trunkParameters()) {
      if (isTarget(spec.name())) {
        int out = spec.shape()[0];
        int in = spec.shape()[1];
        specs.add(new ParameterSpec(a(spec.name()), new int[] {rank, in}, true));
        specs.add(new ParameterSpec(b(spec.name()), new int[] {out, rank}, true));
      }
    }
    return specs;
  }

  /** As {@link #parameters}, with the scalar head of a reward model or critic. */
  public List<ParameterSpec> scalarParameters(LlamaConfig config) {
    List<ParameterSpec> specs = parameters(config);
    specs.add(config.scalarParameters().getLast());
    return specs;
  }

  /** Whether the weights with this name have an adapter. */
  public boolean isTarget(String weights) {
    return targets.stream().anyMatch(target -> weights.endsWith("." + target + WEIGHT));
  }

  /** The name of A for the weights with this name. */
  public static String a(String weights) {
    return weights.substring(0, weights.length() - WEIGHT.length()) + A;
  }

  /** The name of B for the weights with this name. */
  public static String b(String weights) {
    return weights.substring(0, weights.length() - WEIGHT.length()) + B;
  }

  /** Whether a parameter's name is that of an A. */
  static boolean isA(String name) {
    return name.endsWith(A);
  }
}
