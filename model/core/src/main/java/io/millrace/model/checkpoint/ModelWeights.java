package io.millrace.model.checkpoint;

import io.millrace.model.llama.FrozenWeights;
import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.LlamaConfig.ParameterSpec;
import io.millrace.model.llama.Parameters;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.llama.Weights;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Tensor;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/** Transfers weights between checkpoint directories and models, piece by piece. */
public final class ModelWeights {

  private static final int CHUNK = 1 << 16;

  /** The exponent bits of a float32. */
  private static final int EXPONENT = 0x7F80_0000;

  private ModelWeights() {}

  /**
   * Loads the language model of an open checkpoint. The caller closes the model.
   *
   * @throws CheckpointException if the checkpoint is of another kind, or if a weight is not finite
   */
  public static LanguageModel languageModel(Backend backend, CheckpointDirectory checkpoint) {
    require(checkpoint, CheckpointKind.POLICY);
    requireWhole(checkpoint);
    Parameters weights = read(backend, checkpoint, checkpoint.config().parameters());
    return new LanguageModel(backend, checkpoint.config(), weights);
  }

  /**
   * Loads the reward model of an open checkpoint. The caller closes the model.
   *
   * @throws CheckpointException if the checkpoint is of another kind, or if a weight is not finite
   */
  public static ScalarModel rewardModel(Backend backend, CheckpointDirectory checkpoint) {
    require(checkpoint, CheckpointKind.REWARD_MODEL);
    requireWhole(checkpoint);
    Parameters weights = read(backend, checkpoint, checkpoint.config().scalarParameters());
    return new ScalarModel(backend, checkpoint.config(), weights);
  }

  /**
   * The weights of an open checkpoint as frozen ones, for the models with adapters on them.
   *
   * @throws CheckpointException if the checkpoint is an adapter, or if a weight is not finite
   */
  public static FrozenWeights frozen(Backend backend, CheckpointDirectory checkpoint) {
    requireWhole(checkpoint);
    float[] values = new float[CHUNK];
    return FrozenWeights.of(
        backend,
        checkpoint.kind().parameters(checkpoint.config()),
        (spec, tensor) -> read(checkpoint, spec.name(), tensor, values));
  }

  /**
   * Loads the adapter of an open checkpoint onto its base. The caller closes the result.
   *
   * @param base of the same shape; a use of it ends when the result is closed, or if this fails
   * @throws CheckpointException if the checkpoint is no adapter of that kind
   */
  public static Weights adapter(
      Backend backend, CheckpointDirectory checkpoint, CheckpointKind kind, FrozenWeights base) {
    try {
      require(checkpoint, kind);
      CheckpointAdapter adapter =
          checkpoint
              .adapter()
              .orElseThrow(
                  () ->
                      CheckpointException.of(
                          checkpoint.path(), "is no adapter: it has no adapter_config.json"));
      Parameters trained = read(backend, checkpoint, checkpoint.outline().parameters());
      return Weights.adapter(base, adapter.config(), trained);
    } catch (RuntimeException e) {
      base.close();
      throw e;
    }
  }

  private static void requireWhole(CheckpointDirectory checkpoint) {
    if (checkpoint.adapter().isPresent()) {
      throw CheckpointException.of(
          checkpoint.path(), "holds an adapter; its base has to be loaded first");
    }
  }

  private static void require(CheckpointDirectory checkpoint, CheckpointKind kind) {
    if (checkpoint.kind() != kind) {
      throw CheckpointException.of(
          checkpoint.path(), "is a " + checkpoint.kind() + " but must be a " + kind);
    }
  }

  private static Parameters read(
      Backend backend, CheckpointDirectory checkpoint, List<ParameterSpec> specs) {
    Parameters parameters = Parameters.zeros(backend, specs);
    try {
      float[] values = new float[CHUNK];
      for (ParameterSpec spec : specs) {
        read(checkpoint, spec.name(), parameters.get(spec.name()), values);
      }
      return parameters;
    } catch (RuntimeException e) {
      parameters.close();
      throw e;
    }
  }

  private static void read(
      CheckpointDirectory checkpoint, String name, Tensor tensor, float[] values) {
    for (long offset = 0; offset < tensor.size(); offset += CHUNK) {
      int length = (int) Math.min(CHUNK, tensor.size() - offset);
      checkpoint.tensors().read(name, offset, values, 0, length);
      requireFinite(checkpoint, name, offset, values, length);
      tensor.write(offset, values, 0, length);
    }
  }

  /**
   * A weight that is not finite would make every log-probability NaN, and everything trained from
   * it.
   */
  private static void requireFinite(
      CheckpointDirectory checkpoint, String name, long offset, float[] values, int length) {
    // The exponent bits are all ones only for NaN and infinity. Their maximum needs a loop without
    // branches.
    int exponent = 0;
    for (int i = 0; i < length; i++) {
      exponent = Math.max(exponent, Float.floatToRawIntBits(values[i]) & EXPONENT);
    }
    for (int i = 0; exponent == EXPONENT && i < length; i++) {
      if (!Float.isFinite(values[i])) {
        throw CheckpointException.ofTensor(
            checkpoint.path(),
            name,
            "element " + (offset + i) + " is " + values[i] + ": weights must be finite");
      }
    }
  }

  /** Sources of the parameters, by name, for {@link CheckpointDirectory#write}. */
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
