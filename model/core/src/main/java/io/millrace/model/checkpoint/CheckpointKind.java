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
  /**
   * The trunk with scalar heads: {@code LlamaForSequenceClassification} with one label for each.
   */
  REWARD_MODEL("LlamaForSequenceClassification");

  /** Key of the number of scalar heads of a reward model that is an ensemble. */
  private static final String SCORE_HEADS = "millrace_score_heads";

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
    if (config.scoreHeads() > 1) {
      root.put(SCORE_HEADS, config.scoreHeads());
    }
    root.put("num_labels", config.scoreHeads());
    ObjectNode names = root.putObject("id2label");
    ObjectNode numbers = root.putObject("label2id");
    for (int head = 0; head < config.scoreHeads(); head++) {
      names.put(Integer.toString(head), "LABEL_" + head);
      numbers.put("LABEL_" + head, head);
    }
    return Json.text(root);
  }

  /**
   * The kind of a {@code config.json}.
   *
   * @throws CheckpointException if the architecture is neither
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
    return REWARD_MODEL;
  }

  /**
   * The number of scalar heads of a {@code config.json}. Transformers stores the number of labels
   * as the size of id2label; without id2label and num_labels there are 2. Several heads are an
   * ensemble only if {@link #SCORE_HEADS} says so: a classifier has as many labels, whose mean
   * means nothing.
   *
   * @return 1 for a policy
   * @throws CheckpointException if the labels are not the heads of a reward model
   */
  int scoreHeads(Path configFile) {
    if (this == POLICY) {
      return 1;
    }
    ObjectNode root = Json.read(configFile);
    JsonNode labels = root.path("id2label");
    int count = labels.isObject() ? labels.size() : root.path("num_labels").asInt(2);
    int heads = root.path(SCORE_HEADS).asInt(1);
    if (count != heads) {
      throw CheckpointException.of(
          configFile,
          "num_labels is %d but must be %d for a reward model: one label for each of its scalar heads (%s)"
              .formatted(count, heads, SCORE_HEADS));
    }
    return count;
  }
}
