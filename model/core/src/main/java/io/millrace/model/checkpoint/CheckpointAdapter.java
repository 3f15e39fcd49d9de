package io.millrace.model.checkpoint;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.model.llama.AdapterConfig;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.llama.LlamaConfig.ParameterSpec;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/**
 * The adapter of a checkpoint, in the form of PEFT: {@code adapter_config.json} beside {@code
 * adapter_model.safetensors}. PEFT and vLLM load such a directory onto the base.
 *
 * @param config rank, alpha and targets
 * @param base path, URI or name of the checkpoint with the frozen weights
 */
public record CheckpointAdapter(AdapterConfig config, String base) {
  static final String CONFIG = "adapter_config.json";
  static final String WEIGHTS = "adapter_model.safetensors";

  /** PEFT's wrapper classes prefix the model's names with this. */
  static final String PREFIX = "base_model.model.";

  private static final String HEAD = "score";

  /** Variants of LoRA that compute something else, and the value that means "not used". */
  private static final Set<String> OFF = Set.of("use_dora", "use_rslora", "fan_in_fan_out");

  private static final Set<String> EMPTY =
      Set.of("rank_pattern", "alpha_pattern", "layers_to_transform");

  /** The trained parameters of such a checkpoint, in the order of writing. */
  List<ParameterSpec> parameters(CheckpointKind kind, LlamaConfig model) {
    return kind == CheckpointKind.POLICY
        ? config.parameters(model)
        : config.scalarParameters(model);
  }

  /** The text of {@code adapter_config.json}. */
  String toJson(CheckpointKind kind) {
    boolean policy = kind == CheckpointKind.POLICY;
    ObjectNode root = Json.object();
    root.put("peft_type", "LORA");
    root.put("task_type", policy ? "CAUSAL_LM" : "SEQ_CLS");
    root.put("base_model_name_or_path", base);
    root.put("r", config.rank());
    if (config.alpha() == Math.rint(config.alpha()) && config.alpha() < Integer.MAX_VALUE) {
      root.put("lora_alpha", (int) config.alpha());
    } else {
      root.put("lora_alpha", config.alpha());
    }
    root.put("lora_dropout", 0.0);
    ArrayNode targets = root.putArray("target_modules");
    config.targets().forEach(targets::add);
    root.put("bias", "none");
    OFF.stream().sorted().forEach(name -> root.put(name, false));
    root.put("inference_mode", true);
    if (policy) {
      root.putNull("modules_to_save");
    } else {
      root.putArray("modules_to_save").add(HEAD);
    }
    return Json.text(root);
  }

  /**
   * Reads {@code adapter_config.json}.
   *
   * @throws CheckpointException if it is malformed, or is no plain LoRA adapter
   */
  static CheckpointAdapter read(Path file, CheckpointKind kind) {
    ObjectNode root = Json.read(file);
    require(file, root, "peft_type", root.path("peft_type").asText().equals("LORA"), "LORA");
    JsonNode bias = root.path("bias");
    require(file, root, "bias", isAbsent(bias) || bias.asText().equals("none"), "none");
    for (String name : OFF) {
      require(file, root, name, !root.path(name).asBoolean(false), "false");
    }
    for (String name : EMPTY) {
      JsonNode node = root.path(name);
      require(file, root, name, isAbsent(node) || node.isEmpty(), "empty");
    }
    JsonNode saved = root.path("modules_to_save");
    boolean head = saved.size() == 1 && saved.path(0).asText().equals(HEAD);
    require(
        file,
        root,
        "modules_to_save",
        kind == CheckpointKind.POLICY ? isAbsent(saved) || saved.isEmpty() : head,
        kind == CheckpointKind.POLICY ? "empty for a policy" : "[\"score\"] for a reward model");
    JsonNode rank = root.path("r");
    require(file, root, "r", rank.isInt(), "a whole number");
    JsonNode alpha = root.path("lora_alpha");
    require(file, root, "lora_alpha", alpha.isNumber(), "a number");
    JsonNode modules = root.path("target_modules");
    require(file, root, "target_modules", modules.isArray(), "an array of names");
    JsonNode base = root.path("base_model_name_or_path");
    require(file, root, "base_model_name_or_path", base.isTextual(), "a path, URI or name");
    List<String> targets = new ArrayList<>();
    modules.forEach(name -> targets.add(name.asText()));
    try {
      return new CheckpointAdapter(
          new AdapterConfig(rank.intValue(), alpha.doubleValue(), targets), base.textValue());
    } catch (IllegalArgumentException e) {
      throw CheckpointException.of(file, e.getMessage(), e);
    }
  }

  private static boolean isAbsent(JsonNode node) {
    return node.isMissingNode() || node.isNull();
  }

  private static void require(
      Path file, ObjectNode root, String name, boolean fits, String wanted) {
    if (!fits) {
      JsonNode node = root.path(name);
      throw CheckpointException.of(
          file,
          "%s is %s but must be %s"
              .formatted(
                  name,
                  node.isMissingNode() ? "absent" : CheckpointException.shorten(node.toString()),
                  wanted));
    }
  }
}
