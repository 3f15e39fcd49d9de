package io.millrace.model.llama;

import io.millrace.model.llama.LlamaConfig.ParameterSpec;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Sequences;
import io.millrace.model.tensor.Tensor;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;

/**
 * A Llama with a scalar head, a reward model or a critic; or with several scalar heads on one
 * trunk, an ensemble of reward models (arXiv 2406.01013).
 */
public final class ScalarModel implements AutoCloseable {

  /** About the standard deviation of the scores of an ensemble's head before its first update. */
  public static final double PRIOR_DEVIATION = 1;

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

  /**
   * A critic on a reward model's trunk: one head of zeros. It has the frozen weights and the
   * adapter of the reward model, if that has some.
   */
  public static ScalarModel criticOn(Backend backend, ScalarModel rewardModel) {
    LlamaConfig config = rewardModel.config.withScoreHeads(1);
    ScalarModel critic =
        rewardModel.adapter().isPresent()
            ? zeros(
                backend,
                config,
                rewardModel.frozen().orElseThrow(),
                rewardModel.adapter().orElseThrow())
            : zeros(backend, config);
    for (ParameterSpec spec : critic.weights().specs()) {
      if (!spec.name().equals(LlamaConfig.SCORE)) {
        backend.copy(critic.weights().get(spec.name()), rewardModel.weights().get(spec.name()));
      }
    }
    return critic;
  }

  /**
   * Draws the heads of an ensemble: from a normal distribution with standard deviation {@code
   * deviation / √hidden}, less their mean. The mean of a fresh ensemble's scores is 0, as is the
   * score of a fresh single head. What the heads differ by where they learn nothing is their
   * uncertainty (randomised prior functions, arXiv 1806.03335).
   *
   * @param deviation about the standard deviation of a fresh head's scores
   */
  public void drawHeads(double deviation, long seed) {
    int h = config.hiddenSize();
    int n = heads();
    SplittableRandom random = new SplittableRandom(seed);
    double[] drawn = new double[n * h];
    for (int i = 0; i < drawn.length; i++) {
      drawn[i] = deviation / Math.sqrt(h) * random.nextGaussian();
    }
    float[] values = new float[n * h];
    for (int column = 0; column < h; column++) {
      double mean = 0;
      for (int head = 0; head < n; head++) {
        mean += drawn[head * h + column] / n;
      }
      for (int head = 0; head < n; head++) {
        values[head * h + column] = (float) (drawn[head * h + column] - mean);
      }
    }
    weights.get(LlamaConfig.SCORE).write(values);
  }

  /** Number of scalar heads. */
  public int heads() {
    return config.scoreHeads();
  }

  /** Sets the heads to zeros: every score becomes 0. */
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

  /**
   * The score at the last token of every sequence, {@code [sequences]}: the mean of the heads where
   * there are several.
   */
  public float[] score(List<int[]> sequences) {
    return means(headScores(sequences), heads());
  }

  /**
   * The mean of each row.
   *
   * @param scores {@code [rows, heads]}
   * @return {@code [rows]}; the scores themselves for one head
   */
  public static float[] means(float[] scores, int heads) {
    if (heads == 1) {
      return scores;
    }
    float[] means = new float[scores.length / heads];
    for (int row = 0; row < means.length; row++) {
      double sum = 0;
      for (int head = 0; head < heads; head++) {
        sum += scores[row * heads + head];
      }
      means[row] = (float) (sum / heads);
    }
    return means;
  }

  /** The score of each head at the last token of every sequence, {@code [sequences, heads]}. */
  public float[] headScores(List<int[]> sequences) {
    Sequences packed = Sequences.of(sequences);
    int[] rows = new int[packed.count()];
    for (int i = 0; i < rows.length; i++) {
      rows[i] = packed.start(i) + packed.length(i) - 1;
    }
    return infer(sequences, rows);
  }

  /**
   * The scores of the heads at some packed rows, without a backward pass.
   *
   * @param sequences token ids of each sequence, at least one token each
   * @param rows packed rows, ascending, at least one
   * @return {@code [rows, heads]}
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
    Tensor scores = buffers.float32("scores", rows.length, heads());
    backend.linear(scores, hidden, weights.get(LlamaConfig.SCORE));
    return scores.toFloats();
  }

  /**
   * Backward pass of the last {@link #forward}, once.
   *
   * @param gradients of the parameters that training changes, added to
   * @param dScores derivative of the loss by each score, {@code [rows, heads]}
   * @throws IllegalStateException unless {@link #forward} was the last pass
   */
  public void backward(Parameters gradients, float[] dScores) {
    int count = keptHidden.rows();
    Tensor dscores = buffers.float32("dscores", count, heads());
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
