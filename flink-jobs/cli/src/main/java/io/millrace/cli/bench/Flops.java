package io.millrace.cli.bench;

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
   * Of a forward pass of the trunk over a packed batch whose hidden states are read at some tokens
   * of each sequence, one after another: those before are keys and values in the last layer, those
   * after nothing.
   *
   * @param sequences how many
   * @param from the first token that is read
   * @param to the one after the last
   */
  public static double trunk(LlamaConfig config, int sequences, int from, int to) {
    double layers = (config.layers() - 1) * layer(config, 0, to);
    return sequences * (layers + layer(config, from, to));
  }

  private static double layer(LlamaConfig config, int from, int to) {
    double h = config.hiddenSize();
    double q = (double) config.heads() * config.headDim();
    double kv = (double) config.kvHeads() * config.headDim();
    double weights = to * h * 2 * kv + (to - from) * h * (2 * q + 3 * config.ffnSize());
    // Scores and mixing, each headDim multiply-adds for every pair of a token and an earlier one.
    double pairs = (to - from) * (from + 1.0 + to) / 2;
    return 2 * (weights + 2 * pairs * q);
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
