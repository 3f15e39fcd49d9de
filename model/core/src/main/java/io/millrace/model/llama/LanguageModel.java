package io.millrace.model.llama;

import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.CachedSequences;
import io.millrace.model.tensor.Draws;
import io.millrace.model.tensor.KvCache;
import io.millrace.model.tensor.Queries;
import io.millrace.model.tensor.Sequences;
import io.millrace.model.tensor.Tensor;
import java.util.List;
import java.util.Optional;

/** A Llama with a language-model head: a policy or a reference policy. */
public final class LanguageModel implements AutoCloseable {

  private final Backend backend;
  private final LlamaConfig config;
  private final Llama trunk;
  private final LlamaDecoder decoder;
  private final Buffers buffers;
  private final Weights weights;
  private ActivationMemory memory = ActivationMemory.defaults();

  /** Arguments of the last {@link #forward}, for {@link #backward}. */
  private Targets keptTargets;

  private float keptTemperature;

  /** Logits of the last {@link #decode}; null where it drew no token. */
  private Tensor keptLogits;

  /** Hidden states of the last pass, {@code [m, h]}; null where m is 0. */
  private Tensor keptHidden;

  /**
   * A model over existing weights.
   *
   * @param weights of {@link LlamaConfig#parameters}; closing the model closes them
   */
  public LanguageModel(Backend backend, LlamaConfig config, Parameters weights) {
    this(backend, config, Weights.trained(weights));
  }

  /**
   * A model over existing weights.
   *
   * @param weights closing the model closes them
   */
  public LanguageModel(Backend backend, LlamaConfig config, Weights weights) {
    this.backend = backend;
    this.config = config;
    this.trunk = new Llama(backend, config);
    this.decoder = new LlamaDecoder(backend, config, weights);
    this.buffers = new Buffers(backend);
    this.weights = weights;
  }

  /** A model with random weights, see {@link Parameters#random}. */
  public static LanguageModel random(Backend backend, LlamaConfig config, long seed) {
    return new LanguageModel(
        backend, config, Parameters.random(backend, config.parameters(), seed));
  }

  public LlamaConfig config() {
    return config;
  }

  /** The parameters that training changes: all weights, or those of an adapter. */
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

  /**
   * Log-probabilities and entropies at the m targets of a packed batch.
   *
   * @param logProbs log p(target) in nats, {@code [m]}
   * @param entropies entropy of the distribution that predicts each target, in nats, {@code [m]}
   */
  public record TokenLogProbs(float[] logProbs, float[] entropies) {}

  /**
   * Log-probabilities and entropies of the targets, without a backward pass.
   *
   * @param sequences token ids of each sequence, at least one token each
   * @param targets the tokens to score
   * @param temperature divides the logits, above 0
   */
  public TokenLogProbs infer(List<int[]> sequences, Targets targets, float temperature) {
    return logProbs(sequences, targets, temperature, false);
  }

  /** As {@link #infer}, and keeps the activations for {@link #backward}. */
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
      backend.logProbs(
          logProbs, entropies, hidden, weights.get(headName()), targets.tokens(), temperature);
      keptHidden = hidden;
    }
    return new TokenLogProbs(logProbs, entropies);
  }

  /**
   * Backward pass of the last {@link #forward}, once. Does nothing if that pass had no targets.
   *
   * @param gradients of the parameters that training changes, added to
   * @param dLogProbs derivative of the loss by each log-probability, {@code [m]}
   * @param dEntropies derivative of the loss by each entropy, {@code [m]}
   * @throws IllegalStateException unless {@link #forward} was the last pass
   */
  public void backward(Parameters gradients, float[] dLogProbs, float[] dEntropies) {
    if (keptHidden == null) {
      return;
    }
    Tensor dhidden = buffers.zeroed("dhidden", keptTargets.count(), config.hiddenSize());
    backend.logProbsBackward(
        dhidden,
        gradients.find(headName()),
        dLogProbs,
        dEntropies,
        keptHidden,
        weights.get(headName()),
        keptTargets.tokens(),
        keptTemperature);
    trunk.backward(weights, gradients, dhidden);
  }

  /**
   * Attention of the last token of a sequence to each of its n tokens, averaged over the heads of a
   * layer.
   *
   * @return {@code [layers][n]}; every row sums to 1
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

  /** A cache for {@link #decode}, which the caller closes. */
  public KvCache kvCache(int pages, int pageTokens) {
    return backend.kvCache(config.layers(), pages, pageTokens, config.kvHeads(), config.headDim());
  }

  /**
   * Runs new tokens through the model, writes their keys and values to the cache, and draws a token
   * after some of them. The result for one sequence does not depend on the other sequences.
   *
   * @param newTokens token ids, packed as {@code sequences} says, {@code [n]}
   * @param sequences the new tokens' positions and cache pages
   * @param rows the rows of the n tokens after which a token is drawn, {@code [m]}; m may be 0
   * @param draws temperature, top-p and uniform number of each draw, {@code [m]}
   */
  public Drawn decode(
      int[] newTokens, CachedSequences sequences, KvCache cache, int[] rows, Draws draws) {
    Tensor hidden = decoder.decode(newTokens, sequences, cache);
    int[] tokens = new int[rows.length];
    float[] logProbs = new float[rows.length];
    keptLogits = null;
    if (rows.length > 0) {
      Tensor selected = buffers.get("last", 0, rows.length, config.hiddenSize());
      backend.gatherRows(selected, hidden, rows);
      Tensor logits = buffers.float32("logits", rows.length, config.vocabSize());
      backend.linearByRow(logits, selected, weights.get(headName()));
      backend.sample(tokens, logProbs, logits, draws);
      keptLogits = logits;
    }
    return new Drawn(tokens, logProbs);
  }

  /**
   * Drawn tokens.
   *
   * @param tokens token ids, {@code [m]}
   * @param logProbs log-probability of each in nats, as in {@link Backend#sample}, {@code [m]}
   */
  public record Drawn(int[] tokens, float[] logProbs) {}

  /**
   * The most probable tokens of a draw of the last {@link #decode}, most probable first, and the
   * lowest id first among equals.
   *
   * @param row index of the draw, below m
   * @param count the most tokens to return
   * @param temperature divides the logits; 0 counts as 1, as in {@link Backend#sample}
   */
  public Ranked ranked(int row, int count, float temperature) {
    float[] logits = new float[config.vocabSize()];
    keptLogits.read((long) row * logits.length, logits, 0, logits.length);
    return Ranked.of(logits, count, temperature == 0 ? 1 : temperature);
  }

  /**
   * Tokens by probability.
   *
   * @param tokens token ids, {@code [k]}
   * @param logProbs log-probability of each in nats, {@code [k]}
   */
  public record Ranked(int[] tokens, float[] logProbs) {

    /** No tokens. */
    public static final Ranked NONE = new Ranked(new int[0], new float[0]);

    /** Log-softmax of {@code logits / temperature}, and its {@code count} highest values. */
    static Ranked of(float[] logits, int count, float temperature) {
      int most = Math.min(count, logits.length);
      int[] tokens = new int[most];
      int found = 0;
      for (int token = 0; token < logits.length; token++) {
        if (found == most && !(logits[token] > logits[tokens[most - 1]])) {
          continue;
        }
        int at = found < most ? found++ : most - 1;
        while (at > 0 && logits[token] > logits[tokens[at - 1]]) {
          tokens[at] = tokens[at - 1];
          at--;
        }
        tokens[at] = token;
      }
      double highest = logits[tokens[0]];
      double sum = 0;
      for (float logit : logits) {
        sum += Math.exp((logit - highest) / temperature);
      }
      float[] logProbs = new float[most];
      for (int i = 0; i < most; i++) {
        logProbs[i] = (float) ((logits[tokens[i]] - highest) / temperature - Math.log(sum));
      }
      return new Ranked(tokens, logProbs);
    }
  }

  private String headName() {
    return config.tiedHead() ? LlamaConfig.EMBEDDING : LlamaConfig.HEAD;
  }

  @Override
  public void close() {
    trunk.close();
    decoder.close();
    buffers.close();
    weights.close();
  }
}
