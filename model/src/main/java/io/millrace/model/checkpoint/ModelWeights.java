package io.millrace.model.checkpoint;

import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.LlamaConfig.ParameterSpec;
import io.millrace.model.llama.Parameters;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Tensor;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/** Weights between checkpoint directories and models, piece by piece. */
public final class ModelWeights {

  private static final int CHUNK = 1 << 16;

  private ModelWeights() {}

  /** The language model of an open checkpoint. */
  public static LanguageModel languageModel(Backend backend, CheckpointDirectory checkpoint) {
    require(checkpoint, CheckpointKind.POLICY);
    Parameters weights = read(backend, checkpoint, checkpoint.config().parameters());
    return new LanguageModel(backend, checkpoint.config(), weights);
  }

  /** The reward model of an open checkpoint. */
  public static ScalarModel rewardModel(Backend backend, CheckpointDirectory checkpoint) {
    require(checkpoint, CheckpointKind.REWARD_MODEL);
    Parameters weights = read(backend, checkpoint, checkpoint.config().scalarParameters());
    return new ScalarModel(backend, checkpoint.config(), weights);
  }

  private static void require(CheckpointDirectory checkpoint, CheckpointKind kind) {
    if (checkpoint.kind() != kind) {
      throw CheckpointException.of(
          checkpoint.path(), "is a " + checkpoint.kind() + ", where a " + kind + " is needed");
    }
  }

  private static Parameters read(
      Backend backend, CheckpointDirectory checkpoint, List<ParameterSpec> specs) {
    Parameters parameters = Parameters.zeros(backend, specs);
    float[] values = new float[CHUNK];
    for (ParameterSpec spec : specs) {
      Tensor tensor = parameters.get(spec.name());
      for (long offset = 0; offset < tensor.size(); offset += CHUNK) {
        int length = (int) Math.min(CHUNK, tensor.size() - offset);
        checkpoint.tensors().read(spec.name(), offset, values, 0, length);
        tensor.write(offset, values, 0, length);
      }
    }
    return parameters;
  }

  /** What {@link CheckpointDirectory#write} reads a model's weights from. */
  public static Map<String, TensorSource> sources(Parameters parameters) {
    return parameters.specs().stream()
        .collect(
            Collectors.toMap(
                ParameterSpec::name, spec -> source(parameters.get(spec.name()), spec)));
  }

  private static TensorSource source(Tensor tensor, ParameterSpec spec) {
    return new TensorSource() {
      @Override
      public int[] shape() {
        return spec.shape();
      }

      @Override
      public void read(long first, float[] chunk, int count) {
        tensor.read(first, chunk, 0, count);
      }
    };
  }
}
