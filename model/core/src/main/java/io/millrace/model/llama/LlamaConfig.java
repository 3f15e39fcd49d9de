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
 * The shape of a Llama model, as Hugging Face's {@code LlamaConfig} describes it.
 *
 * <p>The forward pass that these numbers fix: token embedding; per layer RMSNorm, grouped-query
 * attention with rotary positions in half-rotation layout, RMSNorm, SwiGLU; a last RMSNorm; a head.
 * No biases anywhere.
 *
 * @param vocabSize number of tokens ({@code vocab_size})
 * @param hiddenSize width of the residual stream ({@code hidden_size})
 * @param layers number of blocks ({@code num_hidden_layers})
 * @param heads query heads of a layer ({@code num_attention_heads})
 * @param kvHeads key and value heads of a layer, a divisor of heads ({@code num_key_value_heads})
 * @param headDim width of a head, even ({@code head_dim})
 * @param ffnSize width inside the feed-forward block ({@code intermediate_size})
 * @param maxPositions longest sequence in tokens ({@code max_position_embeddings})
 * @param rmsNormEps added to the mean square in RMSNorm ({@code rms_norm_eps})
 * @param ropeTheta base of the rotary frequencies ({@code rope_theta})
 * @param ropeScaling how the rotary frequencies are scaled ({@code rope_scaling})
 * @param tiedHead whether the head is the embedding matrix ({@code tie_word_embeddings})
 * @param bosToken token that begins a sequence, or {@link #NO_TOKEN}
 * @param eosTokens tokens that end a sequence, each once; sampling stops at any of them
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
    List<Integer> eosTokens) {

  /** Stands for a token that the model does not have. */
  public static final int NO_TOKEN = -1;

  /** Name of the embedding matrix, and of the head where it is tied. */
  public static final String EMBEDDING = "model.embed_tokens.weight";

  /** Name of the language model's head where it is not tied. */
  public static final String HEAD = "lm_head.weight";

  /** Name of the scalar head of a reward model or critic. */
  public static final String SCORE = "score.weight";

  /** Far above any Llama; keeps a hostile file from asking for billions of names. */
  private static final int MAX_LAYERS = 10_000;

  /** Checks every property; an error names the property and its value. */
  public LlamaConfig {
    positive("vocabSize", vocabSize);
    positive("hiddenSize", hiddenSize);
    positive("layers", layers);
    positive("heads", heads);
    positive("kvHeads", kvHeads);
    positive("headDim", headDim);
    positive("ffnSize", ffnSize);
    positive("maxPositions", maxPositions);
    require(layers <= MAX_LAYERS, "layers", layers, "at most " + MAX_LAYERS);
    require(heads % kvHeads == 0, "kvHeads", kvHeads, "a divisor of heads (" + heads + ")");
    require(headDim % 2 == 0, "headDim", headDim, "even, since rotary positions turn pairs");
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
        "each given once");
  }

  /** Without scaling of the rotary frequencies, and with one eos token or {@link #NO_TOKEN}. */
  public LlamaConfig(
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
      boolean tiedHead,
      int bosToken,
      int eosToken) {
    this(
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
        RopeScaling.NONE,
        tiedHead,
        bosToken,
        eosToken == NO_TOKEN ? List.of() : List.of(eosToken));
  }

  /** The same model with other tokens at the ends of its sequences. */
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
        newEosTokens);
  }

  /** The rotary embedding of every layer. */
  public Rope rope() {
    return new Rope(headDim, ropeTheta, ropeScaling);
  }

  /**
   * One parameter of the model.
   *
   * @param name Hugging Face's name
   * @param shape sizes, outermost first; a matrix is [out, in], so that y = W·x
   * @param decay whether AdamW's weight decay applies: to matrices, not to norm gains
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

  /** The parameters below the head: embedding, blocks, last norm. */
  public List<ParameterSpec> trunkParameters() {
    return List.copyOf(trunk());
  }

  /** The parameters of a reward model or critic: the trunk and {@link #SCORE} [1, hidden]. */
  public List<ParameterSpec> scalarParameters() {
    List<ParameterSpec> all = trunk();
    all.add(matrix(SCORE, 1, hiddenSize));
    return List.copyOf(all);
  }

  /** Number of trained values of the language model. */
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
   * Reads a {@code config.json} as written by transformers 4 or 5.
   *
   * @throws IllegalArgumentException naming file, key and value, where the file is malformed or
   *     asks for something that this implementation does not compute
   * @throws UncheckedIOException where the file cannot be read
   */
  public static LlamaConfig fromJson(Path file) {
    return LlamaConfigJson.read(file);
  }

  /** As {@link #fromJson(Path)}, from the text of the file. */
  public static LlamaConfig fromJson(String text) {
    return LlamaConfigJson.read(text);
  }

  /**
   * This with the bos and eos tokens of a {@code generation_config.json}, where it names any.
   *
   * @throws IllegalArgumentException naming file, key and value, where the file is malformed
   * @throws UncheckedIOException where it cannot be read
   */
  public LlamaConfig withGenerationConfig(Path file) {
    return LlamaConfigJson.withGeneration(this, file);
  }

  /** The {@code config.json} of a {@code LlamaForCausalLM} of this shape in float32. */
  public String toJson() {
    return toJson("float32");
  }

  /**
   * As {@link #toJson()}, with weights of another type.
   *
   * @param dtype PyTorch's name of the type, such as bfloat16
   */
  public String toJson(String dtype) {
    return LlamaConfigJson.write(this, dtype);
  }

  /** The {@code generation_config.json} that goes with it. */
  public String toGenerationJson() {
    return LlamaConfigJson.writeGeneration(this);
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
