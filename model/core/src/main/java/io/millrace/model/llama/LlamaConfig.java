package io.millrace.model.llama;

import io.millrace.model.tensor.Rope;
import io.millrace.model.tensor.RopeScaling;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;

/**
 * The shape of a Llama, as in Hugging Face's {@code LlamaConfig}.
 *
 * <p>The forward pass: token embedding; in each layer RMSNorm, grouped-query attention with rotary
 * positions (a head's halves are the pairs), RMSNorm and SwiGLU; then a last RMSNorm and a head.
 * There are no biases.
 *
 * @param vocabSize number of tokens ({@code vocab_size})
 * @param hiddenSize width of the residual stream ({@code hidden_size})
 * @param layers number of layers ({@code num_hidden_layers})
 * @param heads query heads of a layer ({@code num_attention_heads})
 * @param kvHeads key and value heads of a layer, a divisor of heads ({@code num_key_value_heads})
 * @param headDim width of a head, even ({@code head_dim})
 * @param ffnSize width of the feed-forward block ({@code intermediate_size})
 * @param maxPositions length of the longest sequence in tokens ({@code max_position_embeddings})
 * @param rmsNormEps added to the mean square in RMSNorm ({@code rms_norm_eps})
 * @param ropeTheta base of the rotary frequencies ({@code rope_theta})
 * @param ropeScaling scaling of the rotary frequencies ({@code rope_scaling})
 * @param tiedHead whether the head is the embedding matrix ({@code tie_word_embeddings})
 * @param bosToken token that begins a sequence, or {@link #NO_TOKEN}
 * @param eosTokens tokens that end a sequence, without repetition; sampling stops at any of them
 * @param scoreHeads scalar heads of a reward model ({@code num_labels}); 1 for all other models
 */
public record LlamaConfig(
    int vocabSize,
    int hiddenSize,
    int layers,
    int heads,
    int kvHeads,
    int headDim,
    int ffnSize,
    int maxPositions,
    float rmsNormEps,
    double ropeTheta,
    RopeScaling ropeScaling,
    boolean tiedHead,
    int bosToken,
    List<Integer> eosTokens,
    int scoreHeads) {

  /** Stands for a token that the model lacks. */
  public static final int NO_TOKEN = -1;

  /** Name of the embedding matrix, and of the head if it is tied. */
  public static final String EMBEDDING = "model.embed_tokens.weight";

  /** Name of the language-model head if it is not tied. */
  public static final String HEAD = "lm_head.weight";

  /** Name of the scalar head of a reward model or critic, or of a reward model's heads. */
  public static final String SCORE = "score.weight";

  /** Far above any Llama. A larger number in a hostile file would create billions of names. */
  private static final int MAX_LAYERS = 10_000;

  /** Far above any ensemble. */
  private static final int MAX_SCORE_HEADS = 1000;

  /**
   * Checks every property.
   *
   * @throws IllegalArgumentException naming the property, its value and the rule
   */
  public LlamaConfig {
    positive("vocabSize", vocabSize);
    positive("hiddenSize", hiddenSize);
    positive("layers", layers);
    positive("heads", heads);
    positive("kvHeads", kvHeads);
    positive("headDim", headDim);
    positive("ffnSize", ffnSize);
    positive("maxPositions", maxPositions);
    require(
        scoreHeads >= 1 && scoreHeads <= MAX_SCORE_HEADS,
        "scoreHeads",
        scoreHeads,
        "1 to " + MAX_SCORE_HEADS);
    require(layers <= MAX_LAYERS, "layers", layers, "at most " + MAX_LAYERS);
    require(heads % kvHeads == 0, "kvHeads", kvHeads, "a divisor of heads (" + heads + ")");
    require(headDim % 2 == 0, "headDim", headDim, "even, because rotary embedding rotates pairs");
    require(
        (long) heads * headDim <= Integer.MAX_VALUE,
        "headDim",
        headDim,
        "at most " + Integer.MAX_VALUE / heads + " with " + heads + " heads");
    require(
        Float.isFinite(rmsNormEps) && rmsNormEps > 0, "rmsNormEps", rmsNormEps, "above 0, finite");
    require(Double.isFinite(ropeTheta) && ropeTheta > 0, "ropeTheta", ropeTheta, "above 0, finite");
    Objects.requireNonNull(ropeScaling, "ropeScaling");
    token("bosToken", bosToken, vocabSize);
    eosTokens = List.copyOf(eosTokens);
    for (int token : eosTokens) {
      require(
          token >= 0 && token < vocabSize,
          "eosToken",
          token,
          "a token below vocabSize (" + vocabSize + ")");
    }
    require(
        eosTokens.stream().distinct().count() == eosTokens.size(),
        "eosTokens",
        eosTokens,
        "a list without repetition");
  }

  /** Begins a model whose sizes are not set yet. */
  public static Builder builder() {
    return new Builder();
  }

  /** The properties of a model, one by one. */
  public static final class Builder {
    private int vocabSize;
    private int hiddenSize;
    private int layers;
    private int heads;
    private int kvHeads;
    private int headDim;
    private int ffnSize;
    private int maxPositions;
    private float rmsNormEps = 1e-5f;
    private double ropeTheta = 10_000;
    private RopeScaling ropeScaling = RopeScaling.NONE;
    private boolean tiedHead;
    private int bosToken = NO_TOKEN;
    private List<Integer> eosTokens = List.of();
    private int scoreHeads = 1;

    private Builder() {}

    /** Number of tokens. */
    public Builder vocabSize(int value) {
      this.vocabSize = value;
      return this;
    }

    /** Width of the residual stream. */
    public Builder hiddenSize(int value) {
      this.hiddenSize = value;
      return this;
    }

    /** Number of layers. */
    public Builder layers(int value) {
      this.layers = value;
      return this;
    }

    /** Query heads of a layer. */
    public Builder heads(int value) {
      this.heads = value;
      return this;
    }

    /** Key and value heads of a layer, a divisor of heads. */
    public Builder kvHeads(int value) {
      this.kvHeads = value;
      return this;
    }

    /** Width of a head, even. */
    public Builder headDim(int value) {
      this.headDim = value;
      return this;
    }

    /** Width of the feed-forward block. */
    public Builder ffnSize(int value) {
      this.ffnSize = value;
      return this;
    }

    /** Length of the longest sequence in tokens. */
    public Builder maxPositions(int value) {
      this.maxPositions = value;
      return this;
    }

    /** Added to the mean square in RMSNorm; 1e-5 if it is not set. */
    public Builder rmsNormEps(float value) {
      this.rmsNormEps = value;
      return this;
    }

    /** Base of the rotary frequencies; 10,000 if it is not set. */
    public Builder ropeTheta(double value) {
      this.ropeTheta = value;
      return this;
    }

    /** Scaling of the rotary frequencies; none if it is not set. */
    public Builder ropeScaling(RopeScaling value) {
      this.ropeScaling = value;
      return this;
    }

    /** Whether the head is the embedding matrix; false if it is not set. */
    public Builder tiedHead(boolean value) {
      this.tiedHead = value;
      return this;
    }

    /** Token that begins a sequence; {@link #NO_TOKEN} if it is not set. */
    public Builder bosToken(int value) {
      this.bosToken = value;
      return this;
    }

    /** The only token that ends a sequence; {@link #NO_TOKEN} for none. */
    public Builder eosToken(int value) {
      return eosTokens(value == NO_TOKEN ? List.of() : List.of(value));
    }

    /** Tokens that end a sequence, without repetition; none if they are not set. */
    public Builder eosTokens(List<Integer> values) {
      this.eosTokens = values;
      return this;
    }

    /** Scalar heads of a reward model; 1 if they are not set. */
    public Builder scoreHeads(int value) {
      this.scoreHeads = value;
      return this;
    }

    /**
     * The model.
     *
     * @throws IllegalArgumentException naming the property, its value and the rule
     */
    public LlamaConfig build() {
      return new LlamaConfig(
          vocabSize,
          hiddenSize,
          layers,
          heads,
          kvHeads,
          headDim,
          ffnSize,
          maxPositions,
          rmsNormEps,
          ropeTheta,
          ropeScaling,
          tiedHead,
          bosToken,
          eosTokens,
          scoreHeads);
    }
  }

  /** The same model with other bos and eos tokens. */
  public LlamaConfig withTokens(int newBosToken, List<Integer> newEosTokens) {
    return new LlamaConfig(
        vocabSize,
        hiddenSize,
        layers,
        heads,
        kvHeads,
        headDim,
        ffnSize,
        maxPositions,
        rmsNormEps,
        ropeTheta,
        ropeScaling,
        tiedHead,
        newBosToken,
        newEosTokens,
        scoreHeads);
  }

  /** The same trunk with a number of scalar heads. */
  public LlamaConfig withScoreHeads(int heads) {
    return new LlamaConfig(
        vocabSize,
        hiddenSize,
        layers,
        this.heads,
        kvHeads,
        headDim,
        ffnSize,
        maxPositions,
        rmsNormEps,
        ropeTheta,
        ropeScaling,
        tiedHead,
        bosToken,
        eosTokens,
        heads);
  }

  /** The rotary embedding of every layer. */
  public Rope rope() {
    return new Rope(headDim, ropeTheta, ropeScaling);
  }

  /**
   * One parameter of the model.
   *
   * @param name Hugging Face's name
   * @param shape sizes, outermost first; a matrix is {@code [out, in]}, for y = x · wᵀ
   * @param decay whether weight decay applies: to matrices, not to the gains of norms
   */
  public record ParameterSpec(String name, int[] shape, boolean decay) {
    /** Copies the shape. */
    public ParameterSpec {
      Objects.requireNonNull(name, "name");
      shape = shape.clone();
    }

    /** Sizes, outermost first; a copy. */
    @Override
    public int[] shape() {
      return shape.clone();
    }

    /** Number of values. */
    public long elementCount() {
      long count = 1;
      for (int size : shape) {
        count = Math.multiplyExact(count, (long) size);
      }
      return count;
    }

    @Override
    public boolean equals(Object other) {
      return other instanceof ParameterSpec(var otherName, var otherShape, var otherDecay)
          && name.equals(otherName)
          && Arrays.equals(shape, otherShape)
          && decay == otherDecay;
    }

    @Override
    public int hashCode() {
      return 31 * name.hashCode() + Arrays.hashCode(shape);
    }

    @Override
    public String toString() {
      return name + Arrays.toString(shape);
    }
  }

  /** Every parameter of the language model, in the order of the forward pass. */
  public List<ParameterSpec> parameters() {
    List<ParameterSpec> all = trunk();
    if (!tiedHead) {
      all.add(matrix(HEAD, vocabSize, hiddenSize));
    }
    return List.copyOf(all);
  }

  /** The parameters below the head: embedding, layers, last norm. */
  public List<ParameterSpec> trunkParameters() {
    return List.copyOf(trunk());
  }

  /**
   * The parameters of a reward model or critic: the trunk and {@link #SCORE} {@code [scoreHeads,
   * hidden]}.
   */
  public List<ParameterSpec> scalarParameters() {
    List<ParameterSpec> all = trunk();
    all.add(matrix(SCORE, scoreHeads, hiddenSize));
    return List.copyOf(all);
  }

  /** Number of trained values of the language model, all parameters together. */
  public long parameterCount() {
    return parameters().stream().mapToLong(ParameterSpec::elementCount).sum();
  }

  private List<ParameterSpec> trunk() {
    List<ParameterSpec> specs = new ArrayList<>(9 * layers + 3);
    specs.add(matrix(EMBEDDING, vocabSize, hiddenSize));
    for (int layer = 0; layer < layers; layer++) {
      String prefix = "model.layers." + layer + ".";
      specs.add(gain(prefix + "input_layernorm.weight"));
      specs.add(matrix(prefix + "self_attn.q_proj.weight", heads * headDim, hiddenSize));
      specs.add(matrix(prefix + "self_attn.k_proj.weight", kvHeads * headDim, hiddenSize));
      specs.add(matrix(prefix + "self_attn.v_proj.weight", kvHeads * headDim, hiddenSize));
      specs.add(matrix(prefix + "self_attn.o_proj.weight", hiddenSize, heads * headDim));
      specs.add(gain(prefix + "post_attention_layernorm.weight"));
      specs.add(matrix(prefix + "mlp.gate_proj.weight", ffnSize, hiddenSize));
      specs.add(matrix(prefix + "mlp.up_proj.weight", ffnSize, hiddenSize));
      specs.add(matrix(prefix + "mlp.down_proj.weight", hiddenSize, ffnSize));
    }
    specs.add(gain("model.norm.weight"));
    return specs;
  }

  private static ParameterSpec matrix(String name, int out, int in) {
    return new ParameterSpec(name, new int[] {out, in}, true);
  }

  private ParameterSpec gain(String name) {
    return new ParameterSpec(name, new int[] {hiddenSize}, false);
  }

  /**
   * Reads a {@code config.json} of transformers 4 or 5.
   *
   * @throws IllegalArgumentException naming file, key and value, if the file is malformed or needs
   *     something that this implementation does not support
   * @throws UncheckedIOException if the file cannot be read
   */
  public static LlamaConfig fromJson(Path file) {
    return LlamaConfigReader.read(file);
  }

  /** As {@link #fromJson(Path)}, from the text of a file. */
  public static LlamaConfig fromJson(String text) {
    return LlamaConfigReader.read(text);
  }

  /**
   * This configuration with the bos and eos tokens of a {@code generation_config.json}, if the file
   * names any.
   *
   * @throws IllegalArgumentException naming file, key and value, if the file is malformed
   * @throws UncheckedIOException if the file cannot be read
   */
  public LlamaConfig withGenerationConfig(Path file) {
    return LlamaConfigReader.withGeneration(this, file);
  }

  /** The {@code config.json} of a {@code LlamaForCausalLM} of this shape, with float32 weights. */
  public String toJson() {
    return toJson("float32");
  }

  /**
   * As {@link #toJson()}, with another type of the weights.
   *
   * @param dtype PyTorch's name of the type, such as bfloat16
   */
  public String toJson(String dtype) {
    return LlamaConfigWriter.write(this, dtype);
  }

  /** The matching {@code generation_config.json}. */
  public String toGenerationJson() {
    return LlamaConfigWriter.writeGeneration(this);
  }

  private static void positive(String name, int value) {
    require(value > 0, name, value, "above 0");
  }

  private static void token(String name, int value, int vocabSize) {
    require(
        value >= NO_TOKEN && value < vocabSize,
        name,
        value,
        "a token below vocabSize (" + vocabSize + "), or -1 for none");
  }

  static void require(boolean holds, String name, Object value, String rule) {
    if (!holds) {
      throw wrong(name, value, rule);
    }
  }

  static IllegalArgumentException wrong(String name, Object value, String rule) {
    return new IllegalArgumentException(name + " is " + value + " but must be " + rule);
  }
}
