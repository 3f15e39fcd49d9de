package io.millrace.model.llama;

import com.fasterxml.jackson.core.JsonFactoryBuilder;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.core.util.DefaultIndenter;
import com.fasterxml.jackson.core.util.DefaultPrettyPrinter;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
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
 * @param tiedHead whether the head is the embedding matrix ({@code tie_word_embeddings})
 * @param bosToken token that begins a sequence, or {@link #NO_TOKEN}
 * @param eosToken token that ends a sequence, or {@link #NO_TOKEN}; the first where a file lists
 *     several
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
    boolean tiedHead,
    int bosToken,
    int eosToken) {

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

  private static final long MAX_FILE_BYTES = 4 << 20;

  private static final List<String> ARCHITECTURES =
      List.of("LlamaForCausalLM", "LlamaForSequenceClassification");

  private static final JsonMapper JSON =
      JsonMapper.builder(
              new JsonFactoryBuilder()
                  .streamReadConstraints(
                      StreamReadConstraints.builder().maxNestingDepth(64).build())
                  .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                  .build())
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .build();

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
    token("bosToken", bosToken, vocabSize);
    token("eosToken", eosToken, vocabSize);
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
    try {
      long size = Files.size(file);
      if (size > MAX_FILE_BYTES) {
        throw new IllegalArgumentException(
            "config of " + size + " bytes is above the limit of " + MAX_FILE_BYTES);
      }
      return fromJson(Files.readString(file));
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(file + ": " + e.getMessage(), e);
    } catch (CharacterCodingException e) {
      throw new IllegalArgumentException(file + ": not UTF-8 text", e);
    } catch (IOException e) {
      throw new UncheckedIOException(file + ": cannot be read: " + e, e);
    }
  }

  /** As {@link #fromJson(Path)}, from the text of the file. */
  public static LlamaConfig fromJson(String text) {
    JsonNode root;
    try {
      root = JSON.readTree(text);
    } catch (JsonProcessingException e) {
      throw new IllegalArgumentException("not well-formed JSON: " + e.getOriginalMessage(), e);
    }
    if (!root.isObject()) {
      throw new IllegalArgumentException("expected a JSON object");
    }
    return new Reader(root).read();
  }

  /** The {@code config.json} of a {@code LlamaForCausalLM} of this shape in float32. */
  public String toJson() {
    ObjectNode root = JSON.createObjectNode();
    root.putArray("architectures").add("LlamaForCausalLM");
    root.put("attention_bias", false);
    root.put("attention_dropout", 0.0);
    putToken(root, "bos_token_id", bosToken);
    putToken(root, "eos_token_id", eosToken);
    root.put("head_dim", headDim);
    root.put("hidden_act", "silu");
    root.put("hidden_size", hiddenSize);
    root.put("initializer_range", 0.02);
    root.put("intermediate_size", ffnSize);
    root.put("max_position_embeddings", maxPositions);
    root.put("mlp_bias", false);
    root.put("model_type", "llama");
    root.put("num_attention_heads", heads);
    root.put("num_hidden_layers", layers);
    root.put("num_key_value_heads", kvHeads);
    root.put("pretraining_tp", 1);
    root.put("rms_norm_eps", rmsNormEps);
    root.putNull("rope_scaling");
    root.put("rope_theta", ropeTheta);
    root.put("tie_word_embeddings", tiedHead);
    root.put("torch_dtype", "float32");
    root.put("use_cache", true);
    root.put("vocab_size", vocabSize);
    DefaultPrettyPrinter printer =
        new DefaultPrettyPrinter().withObjectIndenter(new DefaultIndenter("  ", "\n"));
    try {
      return JSON.writer(printer).writeValueAsString(root) + "\n";
    } catch (JsonProcessingException e) {
      throw new AssertionError("a tree of plain values can always be written", e);
    }
  }

  private static void putToken(ObjectNode root, String key, int token) {
    if (token == NO_TOKEN) {
      root.putNull(key);
    } else {
      root.put(key, token);
    }
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

  private static void require(boolean holds, String name, Object value, String rule) {
    if (!holds) {
      throw new IllegalArgumentException(name + " is " + value + " but must be " + rule);
    }
  }

  /** Turns Hugging Face's keys into properties; refuses what the forward pass does not compute. */
  private record Reader(JsonNode root) {

    LlamaConfig read() {
      refuseUnsupported();
      int hidden = size("hidden_size");
      int heads = size("num_attention_heads");
      int headDim;
      if (isGiven(root, "head_dim")) {
        headDim = size("head_dim");
      } else {
        require(hidden % heads == 0, "hidden_size", hidden, "a multiple of num_attention_heads");
        headDim = hidden / heads;
      }
      // Where a key is absent, transformers' own default for Llama holds.
      return new LlamaConfig(
          size("vocab_size"),
          hidden,
          size("num_hidden_layers"),
          heads,
          isGiven(root, "num_key_value_heads") ? size("num_key_value_heads") : heads,
          headDim,
          size("intermediate_size"),
          isGiven(root, "max_position_embeddings") ? size("max_position_embeddings") : 2048,
          (float) number(root, "rms_norm_eps", 1e-6),
          ropeTheta(),
          flag("tie_word_embeddings"),
          token("bos_token_id", 1),
          token("eos_token_id", 2));
    }

    private void refuseUnsupported() {
      String type = text(root, "model_type", "llama");
      require(type.equals("llama"), "model_type", type, "llama");
      for (JsonNode architecture : root.path("architectures")) {
        require(
            ARCHITECTURES.contains(architecture.asText()),
            "architectures",
            architecture,
            "one of " + ARCHITECTURES);
      }
      String activation = text(root, "hidden_act", "silu");
      require(activation.equals("silu"), "hidden_act", activation, "silu");
      require(!flag("attention_bias"), "attention_bias", true, "false: biases are not supported");
      require(!flag("mlp_bias"), "mlp_bias", true, "false: biases are not supported");
      require(
          !isGiven(root, "quantization_config"),
          "quantization_config",
          root.path("quantization_config"),
          "absent: export the weights as float32, bfloat16 or float16 first");
    }

    /** Version 4 writes rope_theta and rope_scaling, version 5 rope_parameters with both in it. */
    private double ropeTheta() {
      JsonNode scaling = root.path("rope_scaling");
      JsonNode parameters = root.path("rope_parameters");
      refuseScaling("rope_scaling", scaling, "(none)");
      refuseScaling("rope_parameters", parameters, "default");
      double theta = number(root, "rope_theta", 10_000);
      if (!isGiven(parameters, "rope_theta")) {
        return theta;
      }
      double inner = number(parameters, "rope_theta", theta);
      require(
          !isGiven(root, "rope_theta") || theta == inner,
          "rope_theta",
          theta,
          "that of rope_parameters, which is " + inner);
      return inner;
    }

    private static void refuseScaling(String key, JsonNode node, String typeWhenAbsent) {
      if (node.isNull() || node.isMissingNode()) {
        return;
      }
      require(node.isObject(), key, node, "an object or null");
      String type = text(node, "rope_type", text(node, "type", typeWhenAbsent));
      require(type.equals("default"), key + ".rope_type", type, "default: no other is supported");
      double partial = number(node, "partial_rotary_factor", 1);
      require(partial == 1, key + ".partial_rotary_factor", partial, "1");
      for (JsonNode value : node) {
        require(!value.isObject(), key, node, "one setting for all layers");
      }
    }

    private int size(String key) {
      JsonNode node = root.path(key);
      require(
          node.isIntegralNumber() && node.canConvertToInt() && node.intValue() > 0,
          key,
          node.isMissingNode() ? "absent" : node,
          "a whole number above 0");
      return node.intValue();
    }

    private int token(String key, int absent) {
      JsonNode node = root.path(key);
      if (node.isMissingNode()) {
        return absent;
      }
      if (node.isArray()) {
        node = node.path(0);
      }
      if (node.isNull() || node.isMissingNode()) {
        return NO_TOKEN;
      }
      require(node.isIntegralNumber() && node.canConvertToInt(), key, node, "a token id");
      return node.intValue();
    }

    private boolean flag(String key) {
      if (!isGiven(root, key)) {
        return false;
      }
      require(root.path(key).isBoolean(), key, root.path(key), "true or false");
      return root.path(key).booleanValue();
    }

    private static double number(JsonNode from, String key, double absent) {
      if (!isGiven(from, key)) {
        return absent;
      }
      require(from.path(key).isNumber(), key, from.path(key), "a number");
      return from.path(key).doubleValue();
    }

    private static String text(JsonNode from, String key, String absent) {
      if (!isGiven(from, key)) {
        return absent;
      }
      require(from.path(key).isTextual(), key, from.path(key), "a string");
      return from.path(key).textValue();
    }

    private static boolean isGiven(JsonNode from, String key) {
      return from.hasNonNull(key);
    }
  }
}
