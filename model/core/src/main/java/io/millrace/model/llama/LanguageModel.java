package io.millrace.model.llama;

import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.CachedSequences;
import io.millrace.model.tensor.Draws;
import io.millrace.model.tensor.KvCache;
import io.millrace.model.tensor.Queries;
import io.millrace.model.tensor.Sequences;
import io.millrace.model.tensor.Tensor;
import java.util.List;

/** A Llama with its language-model head: the policy and the reference policy. */
public final class LanguageModel implements AutoCloseable {

  private final Backend backend;
  private final LlamaConfig config;
  private final Llama trunk;
  private final LlamaDecoder decoder;
  private final Buffers buffers;
  private final Parameters weights;
  private ActivationMemory memory = ActivationMemory.defaults();

  /** The last training pass, for {@link #backward}. */
  private Targets keptTargets;

  private float keptTemperature;

  /** What it read of the trunk, [m, h]; null where m is 0. */
  private Tensor keptHidden;

  /** Takes the weights over: closing the model closes them. */
  public LanguageModel(Backend backend, LlamaConfig config, Parameters weights) {
    this.backend = backend;
    this.config = config;
    this.trunk = new Llama(backend, config);
    this.decoder = new LlamaDecoder(backend, config, weights);
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

  /** How many tokens of a batch are learned from at a time. */
  public int partTokens() {
    return memory.partTokens(config);
  }

  /** Sets what training passes keep, from the next on. */
  public void useMemory(ActivationMemory memory) {
    this.memory = memory;
    trunk.recompute(memory.recompute());
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
    keptHidden = null;
    if (count > 0) {
      Tensor hidden =
          keep
              ? trunk.forward(weights, tokens, sequences, targets.rows())
              : trunk.infer(weights, tokens, sequences, targets.rows());
      backend.logProbs(logProbs, entropies, hidden, head(weights), targets.tokens(), temperature);
      keptHidden = hidden;
    }
    return new TokenLogProbs(logProbs, entropies);
  }

  /** Adds to the gradients, given the loss's derivatives by what {@link #forward} returned, [m]. */
  public void backward(Parameters gradients, float[] dLogProbs, float[] dEntropies) {
    if (keptHidden == null) {
      return;
    }
    Tensor dhidden = buffers.zeroed("dhidden", keptTargets.count(), config.hiddenSize());
    backend.logProbsBackward(
        dhidden,
        head(gradients),
        dLogProbs,
        dEntropies,
        keptHidden,
        head(weights),
        keptTargets.tokens(),
        keptTemperature);
    trunk.backward(weights, gradients, dhidden);
  }

  /**
   * How much the last token of a sequence attends to each of its n tokens, averaged over a layer's
   * heads.
   *
   * @return {@code [layers][n]}; every row adds up to 1
   */
  public float[][] attentionOfLastToken(int[] sequence) {
    trunk.recompute(false);
    try {
      Sequences one = Sequences.ofLengths(sequence.length);
      trunk.forward(weights, sequence, one, Queries.all(one).rows());
      return trunk.attentionOfLastToken();
    } finally {
      trunk.recompute(memory.recompute());
    }
  }

  /** An empty cache of {@code pages} pages for sampling. */
  public KvCache kvCache(int pages, int pageTokens) {
    return backend.kvCache(config.layers(), pages, pageTokens, config.kvHeads(), config.headDim());
  }

  /**
   * Runs new tokens through the model, whose keys and values the cache takes up, and draws the
   * tokens that follow some of them. What comes of a sequence does not depend on the others.
   *
   * @param newTokens packed as {@code sequences} says, {@code [n]}
   * @param rows which of the n rows a token is drawn after, {@code [m]}; none where m is 0
   * @param draws how, {@code [m]}
   */
  public Drawn decode(
      int[] newTokens, CachedSequences sequences, KvCache cache, int[] rows, Draws draws) {
    Tensor hidden = decoder.decode(newTokens, sequences, cache);
    int[] tokens = new int[rows.length];
    float[] logProbs = new float[rows.length];
    if (rows.length > 0) {
      Tensor selected = buffers.get("last", 0, rows.length, config.hiddenSize());
      backend.gatherRows(selected, hidden, rows);
      Tensor logits = buffers.get("logits", 0, rows.length, config.vocabSize());
      backend.linearByRow(logits, selected, head(weights));
      backend.sample(tokens, logProbs, logits, draws);
    }
    return new Drawn(tokens, logProbs);
  }

  /**
   * Tokens that were drawn.
   *
   * @param tokens {@code [m]}
   * @param logProbs of each, in nats, at the sampling temperature, {@code [m]}
   */
  public record Drawn(int[] tokens, float[] logProbs) {}

  private Tensor head(Parameters parameters) {
    return parameters.get(config.tiedHead() ? LlamaConfig.EMBEDDING : LlamaConfig.HEAD);
  }

  @Override
  public void close() {
    trunk.close();
    decoder.close();
    buffers.close();
    weights.close();
  }
}
