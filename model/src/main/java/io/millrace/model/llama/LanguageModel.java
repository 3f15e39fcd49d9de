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
  private TokenLogProbs kept;

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
   * What the model says of chosen tokens of a packed batch, m of them.
   *
   * @param rows the packed row that predicts each token: the row before the token's own, {@code
   *     [m]}
   * @param targets the tokens, {@code [m]}
   * @param temperature divides the logits
   * @param logProbs log p(target) in nats, {@code [m]}
   * @param entropies of the distribution each was drawn from, in nats, {@code [m]}
   */
  public record TokenLogProbs(
      int[] rows, int[] targets, float temperature, float[] logProbs, float[] entropies) {}

  /** Log-probs of the tokens of every sequence from the given index on; the first has none. */
  public TokenLogProbs infer(List<int[]> sequences, int[] from, float temperature) {
    return logProbs(sequences, from, temperature, false);
  }

  /** The same, with the activations kept for {@link #backward}. */
  public TokenLogProbs forward(List<int[]> sequences, int[] from, float temperature) {
    kept = logProbs(sequences, from, temperature, true);
    return kept;
  }

  private TokenLogProbs logProbs(List<int[]> batch, int[] from, float temperature, boolean keep) {
    Sequences sequences = Sequences.of(batch);
    int[] tokens = Sequences.concatenate(batch);
    int count = 0;
    for (int i = 0; i < batch.size(); i++) {
      if (from[i] < 1 || from[i] > batch.get(i).length) {
        throw new IllegalArgumentException(
            "log-probs from token %d on of a sequence of %d: the first that has one is 1"
                .formatted(from[i], batch.get(i).length));
      }
      count += batch.get(i).length - from[i];
    }
    int[] rows = new int[count];
    int[] targets = new int[count];
    int at = 0;
    for (int i = 0; i < batch.size(); i++) {
      for (int t = from[i]; t < batch.get(i).length; t++) {
        rows[at] = sequences.start(i) + t - 1;
        targets[at++] = batch.get(i)[t];
      }
    }
    float[] logProbs = new float[count];
    float[] entropies = new float[count];
    Tensor hidden =
        keep ? trunk.forward(weights, tokens, sequences) : trunk.infer(weights, tokens, sequences);
    keptTokens = tokens.length;
    if (count > 0) {
      Tensor selected = buffers.get("selected", 0, count, config.hiddenSize());
      backend.gatherRows(selected, hidden, rows);
      backend.logProbs(logProbs, entropies, selected, head(weights), targets, temperature);
    }
    return new TokenLogProbs(rows, targets, temperature, logProbs, entropies);
  }

  /** Adds to the gradients, given the loss's derivatives by what {@link #forward} returned, [m]. */
  public void backward(Parameters gradients, float[] dLogProbs, float[] dEntropies) {
    int count = kept.rows().length;
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
          kept.targets(),
          kept.temperature());
      backend.gatherRowsBackward(dhidden, kept.rows(), dselected);
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
