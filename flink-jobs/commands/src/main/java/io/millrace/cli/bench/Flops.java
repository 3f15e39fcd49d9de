package io.millrace.cli.bench;

import io.millrace.model.llama.LlamaConfig;

/**
 * Model FLOPs (Chowdhery et al., arXiv 2204.02311, appendix B): the floating-point operations of
 * matrix products with weights, of the two products of causal attention, and of the head. A
 * multiply-add counts as two. Recomputation and elementwise operations do not count.
 */
final class Flops {

  private Flops() {}

  /**
   * FLOPs of a forward pass of the trunk over packed sequences, when the caller reads the hidden
   * states of the tokens from {@code from} to {@code to} of each. The last layer computes only keys
   * and values for earlier tokens, and nothing for later ones.
   *
   * @param sequences number of sequences
   * @param from first token that is read
   * @param to token after the last one that is read
   */
  static double trunk(LlamaConfig config, int sequences, int from, int to) {
    double layers = (config.layers() - 1) * layer(config, 0, to);
    return sequences * (layers + layer(config, from, to));
  }

  private static double layer(LlamaConfig config, int from, int to) {
    double h = config.hiddenSize();
    double q = (double) config.heads() * config.headDim();
    double kv = (double) config.kvHeads() * config.headDim();
    double weights = to * h * 2 * kv + (to - from) * h * (2 * q + 3 * config.ffnSize());
    // Scores and weighted sums: headDim multiply-adds each for every pair of tokens.
    double pairs = (to - from) * (from + 1.0 + to) / 2;
    return 2 * (weights + 2 * pairs * q);
  }

  /** FLOPs of the language-model head at so many positions. */
  static double head(LlamaConfig config, long positions) {
    return 2.0 * positions * config.hiddenSize() * config.vocabSize();
  }

  /** FLOPs of forward and backward pass: the backward pass has two products for each one. */
  static double withBackward(double forward) {
    return 3 * forward;
  }
}
