package io.millrace.model.llama;

/**
 * The trade of memory for arithmetic in a training pass.
 *
 * <p>A pass over n tokens keeps activations for its backward pass. Per token and layer these are
 * {@code 4·hidden + 2·heads·headDim + 2·kvHeads·headDim + 3·ffn} float32 values. The last layer
 * keeps fewer where only some hidden states are read. With recomputation a pass keeps {@code
 * hidden} values per token and layer, and all activations of one layer at a time.
 *
 * @param microBatchTokens maximum tokens of a micro-batch. A larger batch is split into
 *     micro-batches, whose gradients add up to those of the whole. A longer sequence is a
 *     micro-batch of its own. At 0, {@link #partTokens} chooses the size
 * @param recompute whether to keep only the input of each layer and to compute the rest again in
 *     the backward pass. That costs a third more arithmetic and gives the same gradients bit for
 *     bit
 */
public record ActivationMemory(int microBatchTokens, boolean recompute) {

  /** With fewer tokens the kernels are too short to be efficient. */
  private static final int MIN_PART_TOKENS = 512;

  public ActivationMemory {
    if (microBatchTokens < 0) {
      throw new IllegalArgumentException(
          "microBatchTokens must be at least 0, not " + microBatchTokens);
    }
  }

  /** The size of micro-batches is chosen, and nothing is recomputed. */
  public static ActivationMemory defaults() {
    return new ActivationMemory(0, false);
  }

  /**
   * Maximum tokens of a micro-batch. The default, {@code max(512, 2 · hidden)}, is small enough for
   * activations to stay in the caches. It is large enough to make the extra pass over the weights
   * and gradients cheap.
   */
  public int partTokens(LlamaConfig config) {
    return microBatchTokens > 0
        ? microBatchTokens
        : Math.max(MIN_PART_TOKENS, 2 * config.hiddenSize());
  }
}
