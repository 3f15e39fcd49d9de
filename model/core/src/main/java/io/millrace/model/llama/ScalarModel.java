package io.millrace.model.llama;

import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Sequences;
import io.millrace.model.tensor.Tensor;
import java.util.List;
import java.util.Optional;

/** A Llama with a scalar head: a reward model or a critic. */
public final class ScalarModel implements AutoCloseable {

  private final Backend backend;
  private final LlamaConfig config;
  private final Llama trunk;
  private final Buffers buffers;
  private final Weights weights;
  private ActivationMemory memory = ActivationMemory.defaults();

  /** Hidden states of the last pass, {@code [rows, h]}. */
  private Tensor keptHidden;

  /**
   * A model over existing weights.
   *
   * @param weights of {@link LlamaConfig#scalarParameters}; closing the model closes them
   */
  public ScalarModel(Backend backend, LlamaConfig config, Parameters weights) {
    this(backend, config, Weights.trained(weights));
  }

  /**
   * A model over existing weights.
   *
   * @param weights closing the model closes them
   */
  public ScalarModel(Backend backend, LlamaConfig config, Weights weights) {
    this.backend = backend;
    this.config = config;
    this.trunk = new Llama(backend, config);
    this.buffers = new Buffers(backend);
    this.weights = weights;
  }

  /** A copy of a policy's trunk with a head of zeros (Llama 2, arXiv 2307.09288, section 3.2.2). */
  public static ScalarModel onTrunkOf(Backend backend, LlamaConfig config, Parameters policy) {
    ScalarModel model = zeros(backend, config);
    model.weights().copyCommonFrom(policy);
    return model;
  }

  /** A model whose weights are all 0, to be read or written next. */
  public static ScalarModel zeros(Backend backend, LlamaConfig config) {
    return new ScalarModel(backend, config, Parameters.zeros(backend, config.scalarParameters()));
  }

  /** A model whose adapter and head are 0, on frozen weights that it shares from now on. */
  public static ScalarModel zeros(
      Backend backend, LlamaConfig config, FrozenWeights frozen, AdapterConfig adapter) {
    Parameters trained = Parameters.zeros(backend, adapter.scalarParameters(config));
    return new ScalarModel(backend, config, Weights.adapter(frozen.share(), adapter, trained));
  }

  /** Sets the head to zeros: every score becomes 0. */
  public void resetHead() {
    backend.zero(weights.get(LlamaConfig.SCORE));
  }

  public LlamaConfig config() {
    return config;
  }

  /** The parameters that training changes: all weights, or those of an adapter and the head. */
  public Parameters weights() {
    return weights.trained();
  }

  /** The frozen weights of a model that has some. */
  public Optional<FrozenWeights> frozen() {
    return Optional.ofNullable(weights.frozen());
  }

  /** The adapter, if the other weights are frozen. */
  public Optional<AdapterConfig> adapter() {
    return Optional.ofNullable(weights.adapter());
  }

  /** Maximum tokens of a micro-batch, see {@link ActivationMemory#partTokens}. */
  public int partTokens() {
    return memory.partTokens(config);
  }

  /** Sets the memory use of training passes, from the next {@link #forward} on. */
  public void useMemory(ActivationMemory memory) {
    this.memory = memory;
    trunk.recompute(memory.recompute());
  }

  /** The score at the last token of every sequence, {@code [sequences]}. */
  public float[] score(List<int[]> sequences) {
    Sequences packed = Sequences.of(sequences);
    int[] rows = new int[packed.count()];
    for (int i = 0; i < rows.length; i++) {
      rows[i] = packed.start(i) + packed.length(i) - 1;
    }
    return infer(sequences, rows);
  }

  /**
   * The scores at some packed rows, without a backward pass.
   *
   * @param sequences token ids of each sequence, at least one token each
   * @param rows packed rows, ascending, at least one
   * @return {@code [rows]}
   */
  public float[] infer(List<int[]> sequences, int[] rows) {
    return values(sequences, rows, false);
  }

  /** As {@link #infer}, and keeps the activations for {@link #backward}. */
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
    Tensor scores = buffers.float32("scores", rows.length, 1);
    backend.linear(scores, hidden, weights.get(LlamaConfig.SCORE));
    return scores.toFloats();
  }

  /**
   * Backward pass of the last {@link #forward}, once.
   *
   * @param gradients of the parameters that training changes, added to
   * @param dScores derivative of the loss by each score, {@code [rows]}
   * @throws IllegalStateException unless {@link #forward} was the last pass
   */
  public void backward(Parameters gradients, float[] dScores) {
    int count = keptHidden.rows();
    Tensor dscores = buffers.float32("dscores", count, 1);
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
