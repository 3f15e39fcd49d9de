package io.millrace.model.checkpoint;

import io.millrace.model.llama.AdapterConfig;
import io.millrace.model.llama.LlamaConfig.ParameterSpec;
import java.util.LinkedHashMap;
import java.util.Map;

/** The weights of an adapter added to those of its base: W + scale · B · A, in float64. */
final class MergedWeights {

  private MergedWeights() {}

  /**
   * Every parameter of the merged model.
   *
   * @param base the checkpoint with the frozen weights
   * @param adapted the checkpoint with the adapter
   */
  static Map<String, TensorSource> of(CheckpointDirectory base, CheckpointDirectory adapted) {
    AdapterConfig config = adapted.adapter().orElseThrow().config();
    Map<String, TensorSource> merged = new LinkedHashMap<>();
    for (ParameterSpec spec : adapted.kind().parameters(adapted.config())) {
      String name = spec.name();
      if (adapted.tensors().names().contains(name)) {
        merged.put(name, adapted.tensors().source(name, spec.shape()));
      } else if (config.isTarget(name)) {
        merged.put(name, new Sum(base.tensors(), adapted.tensors(), spec, config));
      } else {
        merged.put(name, base.tensors().source(name, spec.shape()));
      }
    }
    return merged;
  }

  /** One projection. The two factors are on the heap while it is written; W is not. */
  private static final class Sum implements TensorSource {
    private final CheckpointTensors base;
    private final CheckpointTensors adapter;
    private final ParameterSpec spec;
    private final AdapterConfig config;
    private float[] a;
    private float[] b;

    Sum(
        CheckpointTensors base,
        CheckpointTensors adapter,
        ParameterSpec spec,
        AdapterConfig config) {
      this.base = base;
      this.adapter = adapter;
      this.spec = spec;
      this.config = config;
    }

    @Override
    public int[] shape() {
      return spec.shape();
    }

    @Override
    public void read(long first, float[] chunk, int count) {
      if (first == 0) {
        a = adapter.readFloats(AdapterConfig.a(spec.name()));
        b = adapter.readFloats(AdapterConfig.b(spec.name()));
      }
      base.read(spec.name(), first, chunk, 0, count);
      int in = spec.shape()[1];
      for (int i = 0; i < count; i++) {
        int row = (int) ((first + i) / in);
        int column = (int) ((first + i) % in);
        double product = 0;
        for (int k = 0; k < config.rank(); k++) {
          product += (double) b[row * config.rank() + k] * a[k * in + column];
        }
        chunk[i] = (float) (chunk[i] + config.scale() * product);
      }
      if (first + count == spec.elementCount()) {
        a = null;
        b = null;
      }
    }
  }
}
