package io.millrace.model.llama;

import static io.millrace.model.llama.LlamaConfig.NO_TOKEN;
import static io.millrace.model.llama.LlamaConfig.require;
import static io.millrace.model.llama.LlamaConfig.wrong;

import com.fasterxml.jackson.core.JsonFactoryBuilder;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.millrace.model.tensor.RopeScaling;
import io.millrace.schemas.PlainFiles;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Path;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Function;

/**
 * Reads a {@link LlamaConfig} from Hugging Face's {@code config.json}. It translates Hugging Face's
 * keys into properties and refuses settings that the forward pass does not compute. A key that is
 * absent gets transformers' default for Llama.
 */
final class LlamaConfigReader {
  private static final int MAX_FILE_BYTES = 4 << 20;

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

  static final String LINEAR = "linear";
  static final String LLAMA3 = "llama3";
  private static final String ROPE_TYPES =
      "default, linear or llama3; other types are not supported";

  private final JsonNode root;

  private LlamaConfigReader(JsonNode root) {
    this.root = root;
  }

  static LlamaConfig read(Path file) {
    return parse(file, LlamaConfigReader::read);
  }

  private static <T> T parse(Path file, Function<String, T> parser) {
    try {
      return parser.apply(PlainFiles.readText(file, MAX_FILE_BYTES));
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(file + ": " + e.getMessage(), e);
    } catch (CharacterCodingException e) {
      throw new IllegalArgumentException(file + ": is not UTF-8 text", e);
    } catch (IOException e) {
      throw new UncheckedIOException(file + ": cannot be read: " + PlainFiles.reason(e), e);
    }
  }

  static LlamaConfig read(String text) {
    return new LlamaConfigReader(tree(text)).config();
  }

  /**
   * A configuration with the tokens of a {@code generation_config.json} in place of its own. Where
   * a checkpoint has both files, transformers generates with the tokens of this one.
   */
  static LlamaConfig withGeneration(LlamaConfig config, Path file) {
    return parse(
        file,
        text -> {
          JsonNode root = tree(text);
          return config.withTokens(
              bosToken(root, config.bosToken()), eosTokens(root, config.eosTokens()));
        });
  }

  private static JsonNode tree(String text) {
    JsonNode root;
    try {
      root = JSON.readTree(text);
    } catch (JsonProcessingException e) {
      throw new IllegalArgumentException("not well-formed JSON: " + e.getOriginalMessage(), e);
    }
    if (!root.isObject()) {
      throw new IllegalArgumentException("is not a JSON object");
    }
    return root;
  }

  private LlamaConfig config() {
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
    return LlamaConfig.builder()
        .vocabSize(size("vocab_size"))
        .hiddenSize(hidden)
        .layers(size("num_hidden_layers"))
        .heads(heads)
        .kvHeads(isGiven(root, "num_key_value_heads") ? size("num_key_value_heads") : heads)
        .headDim(headDim)
        .ffnSize(size("intermediate_size"))
        .maxPositions(
            isGiven(root, "max_position_embeddings") ? size("max_position_embeddings") : 2048)
        .rmsNormEps((float) number(root, "rms_norm_eps", 1e-6))
        .ropeTheta(ropeTheta())
        .ropeScaling(ropeScaling())
        .tiedHead(flag("tie_word_embeddings"))
        .bosToken(bosToken(root, 1))
        .eosTokens(eosTokens(root, List.of(2)))
        .build();
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
    double partial = number(root, "partial_rotary_factor", 1);
    require(partial == 1, "partial_rotary_factor", partial, "1");
    require(
        !isGiven(root, "sliding_window") || isFalse("use_sliding_window"),
        "sliding_window",
        root.path("sliding_window"),
        "null: only full attention is supported");
    for (JsonNode layer : root.path("layer_types")) {
      require(
          layer.asText().equals("full_attention"),
          "layer_types",
          layer,
          "full_attention in every layer");
    }
    require(!flag("attention_bias"), "attention_bias", true, "false: biases are not supported");
    require(!flag("mlp_bias"), "mlp_bias", true, "false: biases are not supported");
    require(
        !isGiven(root, "quantization_config"),
        "quantization_config",
        root.path("quantization_config"),
        "absent: export the weights as float32, bfloat16 or float16 first");
  }

  /**
   * Transformers 4 writes {@code rope_theta} and {@code rope_scaling}. Version 5 writes {@code
   * rope_parameters}, which holds both.
   */
  private double ropeTheta() {
    double theta = number(root, "rope_theta", 10_000);
    JsonNode parameters = root.path("rope_parameters");
    if (!isGiven(parameters, "rope_theta")) {
      return theta;
    }
    double inner = number(parameters, "rope_theta", theta);
    require(
        !isGiven(root, "rope_theta") || theta == inner,
        "rope_theta",
        theta,
        "equal to rope_parameters.rope_theta, which is " + inner);
    return inner;
  }

  private RopeScaling ropeScaling() {
    RopeScaling outer = scaling("rope_scaling");
    if (!isGiven(root, "rope_parameters")) {
      return outer;
    }
    RopeScaling inner = scaling("rope_parameters");
    require(
        !isGiven(root, "rope_scaling") || outer.equals(inner),
        "rope_scaling",
        root.path("rope_scaling"),
        "equal to rope_parameters, which is " + root.path("rope_parameters"));
    return inner;
  }

  private RopeScaling scaling(String key) {
    JsonNode node = root.path(key);
    if (node.isNull() || node.isMissingNode()) {
      return RopeScaling.NONE;
    }
    require(node.isObject(), key, node, "an object or null");
    for (JsonNode value : node) {
      require(
          !value.isObject(),
          key,
          node,
          "one setting for all layers: settings for each kind of layer are not supported");
    }
    double partial = number(node, "partial_rotary_factor", 1);
    require(partial == 1, key + ".partial_rotary_factor", partial, "1");
    // Before version 4.43 the key was "type". Newer files may have both keys.
    String older = text(node, "type", "absent");
    String type = text(node, "rope_type", older);
    require(
        !isGiven(node, "type") || type.equals(older),
        key + ".rope_type",
        type,
        "equal to " + key + ".type, which is " + older);
    try {
      return switch (type) {
        case "default" -> RopeScaling.NONE;
        case LINEAR -> new RopeScaling.Linear(required(node, key, "factor"));
        case LLAMA3 ->
            new RopeScaling.Llama3(
                required(node, key, "factor"),
                required(node, key, "low_freq_factor"),
                required(node, key, "high_freq_factor"),
                originalPositions(node, key));
        case "absent" -> {
          // Version 5 may omit the type if nothing is scaled.
          require(
              key.equals("rope_parameters") && !isGiven(node, "factor"),
              key + ".rope_type",
              "absent",
              ROPE_TYPES);
          yield RopeScaling.NONE;
        }
        default -> throw wrong(key + ".rope_type", type, ROPE_TYPES);
      };
    } catch (IllegalArgumentException e) {
      throw e.getMessage().startsWith(key)
          ? e
          : new IllegalArgumentException(key + ": " + e.getMessage(), e);
    }
  }

  private static double required(JsonNode node, String parent, String key) {
    require(node.path(key).isNumber(), parent + "." + key, shown(node.path(key)), "a number");
    return node.path(key).doubleValue();
  }

  private static int originalPositions(JsonNode node, String parent) {
    String key = "original_max_position_embeddings";
    JsonNode value = node.path(key);
    require(
        value.isIntegralNumber() && value.canConvertToInt(),
        parent + "." + key,
        shown(value),
        "a whole number from 1 to 2147483647");
    return value.intValue();
  }

  private static Object shown(JsonNode node) {
    return node.isMissingNode() ? "absent" : node;
  }

  private int size(String key) {
    JsonNode node = root.path(key);
    require(
        node.isIntegralNumber() && node.canConvertToInt() && node.intValue() > 0,
        key,
        shown(node),
        "a whole number from 1 to 2147483647");
    return node.intValue();
  }

  static int bosToken(JsonNode root, int absent) {
    JsonNode node = root.path("bos_token_id");
    if (node.isMissingNode()) {
      return absent;
    }
    return node.isNull() ? NO_TOKEN : token("bos_token_id", node);
  }

  /** The eos tokens: the file holds one token or a list of tokens. */
  static List<Integer> eosTokens(JsonNode root, List<Integer> absent) {
    JsonNode node = root.path("eos_token_id");
    if (node.isMissingNode()) {
      return absent;
    }
    Set<Integer> tokens = new LinkedHashSet<>();
    if (node.isArray()) {
      node.forEach(each -> tokens.add(token("eos_token_id", each)));
    } else if (!node.isNull()) {
      tokens.add(token("eos_token_id", node));
    }
    return List.copyOf(tokens);
  }

  private static int token(String key, JsonNode node) {
    require(node.isIntegralNumber() && node.canConvertToInt(), key, node, "a token id");
    return node.intValue();
  }

  private boolean isFalse(String key) {
    return isGiven(root, key) && !flag(key);
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
