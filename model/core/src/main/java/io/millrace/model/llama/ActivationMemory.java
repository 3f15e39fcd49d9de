package io.millrace.model.llama;

/**
 * How much a training pass keeps for its way back, against how much it computes.
 *
 * <p>A pass over n tokens keeps, in float32s per token and layer but the last, which keeps less,
 * {@code 4·hidden + 2·heads·headDim + 2·kvHeads·headDim + 3·ffn}; with recomputation {@code
 * hidden}, and one layer's all.
 *
 * @param microBatchTokens a batch of more tokens is learned from in parts of at most as many, whose
 *     gradients add up to the whole's; a longer sequence is a part of its own. 0: {@link
 *     #partTokens as many as are fastest}
 * @param recompute keeps only what goes into each layer, and computes the rest again on the way
 *     back: a third more arithmetic, the same gradients bit for bit
 */
public record ActivationMemory(int microBatchTokens, boolean recompute) {

  /** Fewer make kernels too short. */
  private static final int LEAST_PART_TOKENS = 512;

  public ActivationMemory {
    if (microBatchTokens < 0) {
      throw new IllegalArgumentException(
          "microBatchTokens must be at least 0, not " + microBatchTokens);
    }
  }

  public static ActivationMemory defaults() {
    return new ActivationMemory(0, false);
  }

  /**
   * How many tokens of a batch are learned from at a time. Where that is left open: so few that
   * activations stay near the cores, and so many that going through the weights and their gradients
   * once more for each part does not count.
   */
  public int partTokens(LlamaConfig config) {
    return microBatchTokens > 0
        ? microBatchTokens
        : Math.max(LEAST_PART_TOKENS, 2 * config.hiddenSize());
  }
}
