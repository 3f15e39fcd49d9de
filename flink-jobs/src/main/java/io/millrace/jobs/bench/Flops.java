package io.millrace.jobs.bench;

import io.millrace.model.llama.LlamaConfig;

/**
 * Floating-point operations that a pass over a model must do, a multiply-add being two: products
 * with weights, attention's two products over the causal half, and the head where it is asked for.
 * What a backend computes again, and everything element by element, is not counted (Chowdhery et
 * al., arXiv 2204.02311, appendix B: model FLOPs).
 */
public final class Flops {

  private Flops() {}

  /**
   * Of a forward pass of the trunk over a packed batch.
   *
   * @param sequences how many
   * @param length tokens of each
   */
  public static double trunk(LlamaConfig config, int sequences, int length) {
    double h = config.hiddenSize();
    double q = (double) config.heads() * config.headDim();
    double kv = (double) config.kvHeads() * config.headDim();
    double weights = h * (2 * q + 2 * kv + 3 * config.ffnSize());
    // Scores and mixing, each headDim multiply-adds for every pair of a token and an earlier one.
    double pairs = length * (length + 1.0) / 2;
    double attention = 2 * pairs * q;
    return config.layers() * sequences * 2 * (length * weights + attention);
  }

  /** Of the language-model head at some positions. */
  public static double head(LlamaConfig config, long positions) {
    return 2.0 * positions * config.hiddenSize() * config.vocabSize();
  }

  /** Of forward and backward pass, from those of the forward pass: each product has two more. */
  public static double withBackward(double forward) {
    return 3 * forward;
  }
}
