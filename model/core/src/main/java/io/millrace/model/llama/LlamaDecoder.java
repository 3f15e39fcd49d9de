package io.millrace.model.llama;

import io.millrace.model.llama.Weights.LowRank;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.CachedSequences;
import io.millrace.model.tensor.KvCache;
import io.millrace.model.tensor.Rope;
import io.millrace.model.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/**
 * The trunk of a {@link Llama} for sampling. It runs the same forward pass over new tokens only; a
 * cache holds the keys and values of the earlier tokens. Its kernels compute each row
 * independently. Shapes as in {@link Llama}.
 */
final class LlamaDecoder implements AutoCloseable {

  /**
   * A layer's weights, looked up once: for a small model the look-ups would take longer than a
   * step.
   */
  private record Layer(
      Tensor inputNorm,
      Projection q,
      Projection k,
      Projection v,
      Projection o,
      Tensor postAttentionNorm,
      Projection gate,
      Projection up,
      Projection down) {}

  /** Weights, and an adapter's factors or null. */
  private record Projection(Tensor weights, LowRank adapter) {}

  private final Backend backend;
  private final LlamaConfig config;
  private final Rope rope;
  private final Buffers buffers;
  private final Projections projections;
  private final double scale;
  private final Tensor embedding;
  private final List<Layer> layers = new ArrayList<>();
  private final Tensor lastNorm;

  LlamaDecoder(Backend backend, LlamaConfig config, Weights weights) {
    this.backend = backend;
    this.config = config;
    this.rope = config.rope();
    this.buffers = new Buffers(backend);
    this.projections = new Projections(backend, buffers);
    this.scale = weights.adapter() == null ? 1 : weights.adapter().scale();
    this.embedding = weights.get(LlamaConfig.EMBEDDING);
    for (int i = 0; i < config.layers(); i++) {
      String prefix = "model.layers." + i + ".";
      layers.add(
          new Layer(
              weights.get(prefix + "input_layernorm.weight"),
              projection(weights, prefix + "self_attn.q_proj.weight"),
              projection(weights, prefix + "self_attn.k_proj.weight"),
              projection(weights, prefix + "self_attn.v_proj.weight"),
              projection(weights, prefix + "self_attn.o_proj.weight"),
              weights.get(prefix + "post_attention_layernorm.weight"),
              projection(weights, prefix + "mlp.gate_proj.weight"),
              projection(weights, prefix + "mlp.up_proj.weight"),
              projection(weights, prefix + "mlp.down_proj.weight")));
    }
    this.lastNorm = weights.get("model.norm.weight");
  }

  private static Projection projection(Weights weights, String name) {
    return new Projection(weights.get(name), weights.lowRank(name));
  }

  private void project(Tensor out, Tensor x, Projection projection) {
    projections.forwardByRow(out, x, projection.weights, projection.adapter, scale);
  }

  /**
   * The hidden states {@code [n, h]} of the new tokens after the last norm, valid until the next
   * call.
   */
  Tensor decode(int[] tokens, CachedSequences sequences, KvCache cache) {
    int[] positions = sequences.positions();
    int n = tokens.length;
    int h = config.hiddenSize();
    Tensor norm = buffers.get("norm", 0, n, h);
    Tensor q = buffers.get("q", 0, n, config.heads() * config.headDim());
    Tensor k = buffers.get("k", 0, n, config.kvHeads() * config.headDim());
    Tensor v = buffers.get("v", 0, n, config.kvHeads() * config.headDim());
    Tensor attended = buffers.get("attended", 0, n, config.heads() * config.headDim());
    Tensor gate = buffers.get("gate", 0, n, config.ffnSize());
    Tensor up = buffers.get("up", 0, n, config.ffnSize());
    Tensor gated = buffers.get("gated", 0, n, config.ffnSize());
    Tensor change = buffers.get("change", 0, n, h);

    Tensor x = buffers.get("x", 0, n, h);
    backend.gatherRows(x, embedding, tokens);
    backend.rmsNorm(norm, x, layers.getFirst().inputNorm, config.rmsNormEps());
    for (int i = 0; i < layers.size(); i++) {
      Layer layer = layers.get(i);
      project(q, norm, layer.q);
      project(k, norm, layer.k);
      project(v, norm, layer.v);
      backend.rope(q, positions, rope, false);
      backend.rope(k, positions, rope, false);
      backend.cachedAttention(attended, q, k, v, cache, i, sequences, config.heads());
      project(change, attended, layer.o);
      backend.addRmsNorm(norm, x, change, layer.postAttentionNorm, config.rmsNormEps());

      project(gate, norm, layer.gate);
      project(up, norm, layer.up);
      backend.swiGlu(gated, gate, up);
      project(change, gated, layer.down);
      Tensor next = i + 1 < layers.size() ? layers.get(i + 1).inputNorm : lastNorm;
      backend.addRmsNorm(norm, x, change, next, config.rmsNormEps());
    }
    return norm;
  }

  @Override
  public void close() {
    buffers.close();
  }
}
