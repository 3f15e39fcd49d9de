package io.millrace.model.llama;

import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Sequences;
import io.millrace.model.tensor.Tensor;
import java.util.List;

/** A Llama with a scalar head in place of its language-model head: reward model and critic. */
public final class ScalarModel implements AutoCloseable {

  private final Backend backend;
  private final LlamaConfig config;
  private final Llama trunk;
  private final Buffers buffers;
  private final Parameters weights;
  private ActivationMemory memory = ActivationMemory.defaults();

  /** What the last training pass read of the trunk, [rows, h]. */
  private Tensor keptHidden;

  /** Takes the weights over: closing the model closes them. */
  public ScalarModel(Backend backend, LlamaConfig config, Parameters weights) {
    this.backend = backend;
    this.config = config;
    this.trunk = new Llama(backend, config);
    this.buffers = new Buffers(backend);
    this.weights = weights;
  }

  /** A new head on a copy of a policy's trunk (Llama 2, arXiv 2307.09288, section 3.2.2). */
  public static ScalarModel onTrunkOf(Backend backend, LlamaConfig config, Parameters policy) {
    Parameters weights = Parameters.zeros(backend, config.scalarParameters());
    weights.copyCommonFrom(policy);
    return new ScalarModel(backend, config, weights);
  }

  /** Gives it a head of zeros, which scores everything 0. */
  public void resetHead() {
    backend.zero(weights.get(LlamaConfig.SCORE));
  }

  public LlamaConfig config() {
    return config;
  }

  public Parameters weights() {
    return weights;
  }

  /** How many tokens of a batch are learned from at a time. */
  public int partTokens() {
    return memory.partTokens(config);
  }

  /** Sets what training passes keep, from the next on. */
  public void useMemory(ActivationMemory memory) {
    this.memory = memory;
    trunk.recompute(memory.recompute());
  }

  /** The score after the last token of every sequence, {@code [sequences]}. */
  public float[] score(List<int[]> sequences) {
    Sequences packed = Sequences.of(sequences);
    int[] rows = new int[packed.count()];
    for (int i = 0; i < rows.length; i++) {
      rows[i] = packed.start(i) + packed.length(i) - 1;
    }
    return infer(sequences, rows);
  }

  /** The scores at the given packed rows, which ascend, {@code [rows]}. */
  public float[] infer(List<int[]> sequences, int[] rows) {
    return values(sequences, rows, false);
  }

  /** The same, with the activations kept for {@link #backward}. */
  public float[] forward(List<int[]> sequences, int[] rows) {
    return values(sequences, rows, true);
  }

  private float[] values(List<int[]> batch, int[] rows, boolean keep) {
    Sequences sequences = Sequences.of(batch);
    int[] tokens = Sequences.concatenate(batch);
    Tensor hidden =
        keep
            ? trunk.forward(weights, tokens, sequences, rows)
            : trunk.infer(weights, tokens, sequences, rows);
    keptHidden = hidden;
    Tensor scores = buffers.get("scores", 0, rows.length, 1);
    backend.linear(scores, hidden, weights.get(LlamaConfig.SCORE));
    return scores.toFloats();
  }

  /** Adds to the gradients, given the loss's derivative by each score, {@code [rows]}. */
  public void backward(Parameters gradients, float[] dScores) {
    int count = keptHidden.rows();
    Tensor dscores = buffers.get("dscores", 0, count, 1);
    dscores.write(dScores);
    Tensor dhidden = buffers.zeroed("dhidden", count, config.hiddenSize());
    backend.linearBackward(
        dhidden,
        gradients.get(LlamaConfig.SCORE),
        dscores,
        keptHidden,
        weights.get(LlamaConfig.SCORE));
    trunk.backward(weights, gradients, dhidden);
  }

  @Override
  public void close() {
    trunk.close();
    buffers.close();
    weights.close();
  }
}
