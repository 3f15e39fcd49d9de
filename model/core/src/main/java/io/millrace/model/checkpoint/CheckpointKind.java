package io.millrace.model.checkpoint;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.llama.LlamaConfig.ParameterSpec;
import java.nio.file.Path;
import java.util.List;

/**
 * The kind of model in a checkpoint. It determines the head and Hugging Face's name of the
 * architecture.
 */
public enum CheckpointKind {
  /** A language model: {@code LlamaForCausalLM}. */
  POLICY("LlamaForCausalLM"),
  /** The trunk with a scalar head: {@code LlamaForSequenceClassification} with one label. */
  REWARD_MODEL("LlamaForSequenceClassification");

  private final String architecture;

  CheckpointKind(String architecture) {
    this.architecture = architecture;
  }

  /** Hugging Face's name of the architecture. */
  public String architecture() {
    return architecture;
  }

  /** The parameters of such a checkpoint, in the order of writing. */
  public List<ParameterSpec> parameters(LlamaConfig config) {
    return this == POLICY ? config.parameters() : config.scalarParameters();
  }

  /** The text of {@code config.json}, with weights of the given type. */
  String configJson(LlamaConfig config, DType dtype) {
    if (this == POLICY) {
      return config.toJson(dtype.torchName());
    }
    ObjectNode root = Json.parse(Path.of("config.json"), config.toJson(dtype.torchName()));
    root.putArray("architectures").add(architecture);
    root.put("num_labels", 1);
    root.putObject("id2label").put("0", "LABEL_0");
    root.putObject("label2id").put("LABEL_0", 0);
    return Json.text(root);
  }

  /**
   * The kind of a {@code config.json}.
   *
   * @throws CheckpointException if the architecture is neither, or if a reward model has more than
   *     one label
   */
  static CheckpointKind read(Path configFile) {
    ObjectNode root = Json.read(configFile);
    JsonNode name = root.path("architectures").path(0);
    if (name.isMissingNode() || name.asText().equals(POLICY.architecture)) {
      return POLICY;
    }
    if (!name.asText().equals(REWARD_MODEL.architecture)) {
      throw CheckpointException.of(
          configFile,
          "architectures is "
              + CheckpointException.shorten(name.toString())
              + " but must be "
              + POLICY.architecture
              + " or "
              + REWARD_MODEL.architecture);
    }
    // transformers stores the number of labels as the size of id2label. Without id2label and
    // num_labels there are 2.
    JsonNode labels = root.path("id2label");
    int count = labels.isObject() ? labels.size() : root.path("num_labels").asInt(2);
    if (count != 1) {
      throw CheckpointException.of(
          configFile, "num_labels is " + count + " but must be 1 for a reward model: the score");
    }
    return REWARD_MODEL;
  }
}
