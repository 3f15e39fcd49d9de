package io.millrace.model.llama;

import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.KvCache;
import io.millrace.model.tensor.Sequences;
import io.millrace.model.tensor.Tensor;
import java.util.List;

/** A Llama with its language-model head: the policy and the reference policy. */
public final class LanguageModel implements AutoCloseable {

  private final Backend backend;
  private final LlamaConfig config;
  private final Llama trunk;
  private final Buffers buffers;
  private final Parameters weights;

  /** The last training pass, for {@link #backward}. */
  private Targets keptTargets;

  private float keptTemperature;

  private int keptTokens;

  /** Takes the weights over: closing the model closes them. */
  public LanguageModel(Backend backend, LlamaConfig config, Parameters weights) {
    this.backend = backend;
    this.config = config;
    this.trunk = new Llama(backend, config);
    this.buffers = new Buffers(backend);
    this.weights = weights;
  }

  public static LanguageModel random(Backend backend, LlamaConfig config, long seed) {
    return new LanguageModel(
        backend, config, Parameters.random(backend, config.parameters(), seed));
  }

  public LlamaConfig config() {
    return config;
  }

  public Parameters weights() {
    return weights;
  }

  /**
   * What the model says of the targets of a packed batch, m of them.
   *
   * @param logProbs log p(target) in nats, {@code [m]}
   * @param entropies of the distribution each was drawn from, in nats, {@code [m]}
   */
  public record TokenLogProbs(float[] logProbs, float[] entropies) {}

  /** Log-probs of the targets, logits divided by the temperature. */
  public TokenLogProbs infer(List<int[]> sequences, Targets targets, float temperature) {
    return logProbs(sequences, targets, temperature, false);
  }

  /** The same, with the activations kept for {@link #backward}. */
  public TokenLogProbs forward(List<int[]> sequences, Targets targets, float temperature) {
    keptTargets = targets;
    keptTemperature = temperature;
    return logProbs(sequences, targets, temperature, true);
  }

  private TokenLogProbs logProbs(
      List<int[]> batch, Targets targets, float temperature, boolean keep) {
    Sequences sequences = Sequences.of(batch);
    int[] tokens = Sequences.concatenate(batch);
    int count = targets.count();
    float[] logProbs = new float[count];
    float[] entropies = new float[count];
    Tensor hidden =
        keep ? trunk.forward(weights, tokens, sequences) : trunk.infer(weights, tokens, sequences);
    keptTokens = tokens.length;
    if (count > 0) {
      Tensor selected = buffers.get("selected", 0, count, config.hiddenSize());
      backend.gatherRows(selected, hidden, targets.rows());
      backend.logProbs(logProbs, entropies, selected, head(weights), targets.tokens(), temperature);
    }
    return new TokenLogProbs(logProbs, entropies);
  }

  /** Adds to the gradients, given the loss's derivatives by what {@link #forward} returned, [m]. */
  public void backward(Parameters gradients, float[] dLogProbs, float[] dEntropies) {
    int count = keptTargets.count();
    Tensor dhidden = buffers.zeroed("dhidden", keptTokens, config.hiddenSize());
    if (count > 0) {
      Tensor dselected = buffers.zeroed("dselected", count, config.hiddenSize());
      backend.logProbsBackward(
          dselected,
          head(gradients),
          dLogProbs,
          dEntropies,
          buffers.get("selected", 0, count, config.hiddenSize()),
          head(weights),
          keptTargets.tokens(),
          keptTemperature);
      backend.gatherRowsBackward(dhidden, keptTargets.rows(), dselected);
    }
    trunk.backward(weights, gradients, dhidden);
  }

  /** An empty cache for sequences of at most {@code capacity} tokens. */
  public KvCache kvCache(int slots, int capacity) {
    return backend.kvCache(config.layers(), slots, capacity, config.kvHeads(), config.headDim());
  }

  /**
   * Logits of the token that follows each sequence, [sequences, vocab], row after row.
   *
   * @see Llama#decode
   */
  public float[] nextLogits(
      List<int[]> newTokens, KvCache cache, int[] slots, int[] firstPositions) {
    Sequences sequences = Sequences.of(newTokens);
    Tensor hidden =
        trunk.decode(
            weights, Sequences.concatenate(newTokens), sequences, cache, slots, firstPositions);
    int[] last = new int[sequences.count()];
    for (int i = 0; i < last.length; i++) {
      last[i] = sequences.start(i) + sequences.length(i) - 1;
    }
    Tensor selected = buffers.get("last", 0, last.length, config.hiddenSize());
    backend.gatherRows(selected, hidden, last);
    Tensor logits = buffers.get("logits", 0, last.length, config.vocabSize());
    backend.linear(logits, selected, head(weights));
    return logits.toFloats();
  }

  private Tensor head(Parameters parameters) {
    return parameters.get(config.tiedHead() ? LlamaConfig.EMBEDDING : LlamaConfig.HEAD);
  }

  @Override
  public void close() {
    trunk.close();
    buffers.close();
    weights.close();
  }
}
