package io.millrace.model.llama;

/**
 * How much a training pass keeps for its way back, against how much it computes.
 *
 * <p>A pass over n tokens keeps, in float32s per token and layer but the last, which keeps less,
 * {@code 4·hidden + 2·heads·headDim + 2·kvHeads·headDim + 3·ffn}; with recomputation {@code
 * hidden}, and one layer's all.
 *
 * @param microBatchTokens a batch of more tokens is learned from in parts of at most as many, whose
 *     gradients add up to the whole's; a longer sequence is a part of its own
 * @param recompute keeps only what goes into each layer, and computes the rest again on the way
 *     back: a third more arithmetic, the same gradients bit for bit
 */
public record ActivationMemory(int microBatchTokens, boolean recompute) {

  public static final int DEFAULT_MICRO_BATCH_TOKENS = 1024;

  public ActivationMemory {
    if (microBatchTokens < 1) {
      throw new IllegalArgumentException(
          "microBatchTokens must be at least 1, not " + microBatchTokens);
    }
  }

  public static ActivationMemory defaults() {
    return new ActivationMemory(DEFAULT_MICRO_BATCH_TOKENS, false);
  }
}
