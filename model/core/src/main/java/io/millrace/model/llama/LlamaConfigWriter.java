package io.millrace.model.llama;

import static io.millrace.model.llama.LlamaConfig.NO_TOKEN;
import static io.millrace.model.llama.LlamaConfigReader.LINEAR;
import static io.millrace.model.llama.LlamaConfigReader.LLAMA3;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.util.DefaultIndenter;
import com.fasterxml.jackson.core.util.DefaultPrettyPrinter;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.model.tensor.RopeScaling;

/**
 * Writes {@link LlamaConfig} as Hugging Face's {@code config.json} and {@code
 * generation_config.json}. The same configuration gives the same bytes.
 */
final class LlamaConfigWriter {
  private static final JsonMapper JSON = new JsonMapper();

  private LlamaConfigWriter() {}

  /**
   * The text of {@code config.json}.
   *
   * @param dtype PyTorch's name of the weights' type
   */
  static String write(LlamaConfig config, String dtype) {
    ObjectNode root = JSON.createObjectNode();
    root.putArray("architectures").add("LlamaForCausalLM");
    root.put("attention_bias", false);
    root.put("attention_dropout", 0.0);
    putTokens(root, config);
    root.put("head_dim", config.headDim());
    root.put("hidden_act", "silu");
    root.put("hidden_size", config.hiddenSize());
    root.put("initializer_range", 0.02);
    root.put("intermediate_size", config.ffnSize());
    root.put("max_position_embeddings", config.maxPositions());
    root.put("mlp_bias", false);
    root.put("model_type", "llama");
    root.put("num_attention_heads", config.heads());
    root.put("num_hidden_layers", config.layers());
    root.put("num_key_value_heads", config.kvHeads());
    root.put("pretraining_tp", 1);
    root.put("rms_norm_eps", config.rmsNormEps());
    putScaling(root, config.ropeScaling());
    root.put("rope_theta", config.ropeTheta());
    root.put("tie_word_embeddings", config.tiedHead());
    root.put("torch_dtype", dtype);
    root.put("use_cache", true);
    root.put("vocab_size", config.vocabSize());
    return text(root);
  }

  /** The text of {@code generation_config.json}. */
  static String writeGeneration(LlamaConfig config) {
    ObjectNode root = JSON.createObjectNode();
    putTokens(root, config);
    root.put("do_sample", true);
    return text(root);
  }

  private static String text(ObjectNode root) {
    DefaultPrettyPrinter printer =
        new DefaultPrettyPrinter().withObjectIndenter(new DefaultIndenter("  ", "\n"));
    try {
      return JSON.writer(printer).writeValueAsString(root) + "\n";
    } catch (JsonProcessingException e) {
      throw new AssertionError("a tree of plain values can always be written", e);
    }
  }

  private static void putScaling(ObjectNode root, RopeScaling scaling) {
    switch (scaling) {
      case RopeScaling.None() -> root.putNull("rope_scaling");
      case RopeScaling.Linear(double factor) ->
          root.putObject("rope_scaling").put("factor", factor).put("rope_type", LINEAR);
      case RopeScaling.Llama3(double factor, double low, double high, int original) ->
          root.putObject("rope_scaling")
              .put("factor", factor)
              .put("high_freq_factor", high)
              .put("low_freq_factor", low)
              .put("original_max_position_embeddings", original)
              .put("rope_type", LLAMA3);
    }
  }

  private static void putTokens(ObjectNode root, LlamaConfig config) {
    if (config.bosToken() == NO_TOKEN) {
      root.putNull("bos_token_id");
    } else {
      root.put("bos_token_id", config.bosToken());
    }
    switch (config.eosTokens().size()) {
      case 0 -> root.putNull("eos_token_id");
      case 1 -> root.put("eos_token_id", config.eosTokens().getFirst());
      default -> config.eosTokens().forEach(root.putArray("eos_token_id")::add);
    }
  }
}
