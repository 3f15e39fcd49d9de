package io.millrace.model.llama;

import io.millrace.model.llama.Weights.LowRank;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.CachedSequences;
import io.millrace.model.tensor.KvCache;
import io.millrace.model.tensor.Rope;
import io.millrace.model.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;

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

  /** Memory for the products with adapters, by part of a batch. */
  private final List<Buffers> ofAdapters = new ArrayList<>();

  private final List<Projections> projections = new ArrayList<>();
  private final double scale;
  private final Tensor embedding;
  private final List<Layer> layers = new ArrayList<>();
  private final Tensor lastNorm;
  private final long weights;

  LlamaDecoder(Backend backend, LlamaConfig config, Weights weights) {
    this.backend = backend;
    this.config = config;
    this.rope = config.rope();
    this.buffers = new Buffers(backend);
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
    this.weights = config.layers() * layerWeights(layers.getFirst());
  }

  private static long layerWeights(Layer layer) {
    return Stream.of(layer.q, layer.k, layer.v, layer.o, layer.gate, layer.up, layer.down)
        .mapToLong(projection -> projection.weights.size())
        .sum();
  }

  /** The activations of some rows. */
  private record Activations(
      Tensor x,
      Tensor norm,
      Tensor q,
      Tensor k,
      Tensor v,
      Tensor attended,
      Tensor gate,
      Tensor up,
      Tensor gated,
      Tensor change) {

    Activations rows(int from, int count) {
      return new Activations(
          x.rows(from, count),
          norm.rows(from, count),
          q.rows(from, count),
          k.rows(from, count),
          v.rows(from, count),
          attended.rows(from, count),
          gate.rows(from, count),
          up.rows(from, count),
          gated.rows(from, count),
          change.rows(from, count));
    }
  }

  private Activations activations(int n) {
    int h = config.hiddenSize();
    int queryColumns = config.heads() * config.headDim();
    int kvColumns = config.kvHeads() * config.headDim();
    return new Activations(
        buffers.get("x", 0, n, h),
        buffers.get("norm", 0, n, h),
        buffers.get("q", 0, n, queryColumns),
        buffers.get("k", 0, n, kvColumns),
        buffers.get("v", 0, n, kvColumns),
        buffers.get("attended", 0, n, queryColumns),
        buffers.get("gate", 0, n, config.ffnSize()),
        buffers.get("up", 0, n, config.ffnSize()),
        buffers.get("gated", 0, n, config.ffnSize()),
        buffers.get("change", 0, n, h));
  }

  private static Projection projection(Weights weights, String name) {
    return new Projection(weights.get(name), weights.lowRank(name));
  }

  private void project(Projections of, Tensor out, Tensor x, Projection projection) {
    of.forwardByRow(out, x, projection.weights, projection.adapter, scale);
  }

  /**
   * The hidden states {@code [n, h]} of the new tokens after the last norm, valid until the next
   * call. The sequences may be divided into parts, since each is computed independently.
   */
  Tensor decode(int[] tokens, CachedSequences sequences, KvCache cache) {
    Activations all = activations(tokens.length);
    int count = sequences.count();
    int parts = backend.parts(count, weights);
    while (projections.size() < parts) {
      ofAdapters.add(new Buffers(backend));
      projections.add(new Projections(backend, ofAdapters.getLast()));
    }
    if (parts == 1) {
      decode(all, projections.getFirst(), tokens, sequences, cache);
      return all.norm;
    }
    // No part sees whether it writes to a page that another part uses.
    sequences.requireFit(cache);
    backend.inParallel(
        parts,
        part -> {
          int from = count * part / parts;
          int to = count * (part + 1) / parts;
          int first = sequences.tokens().start(from);
          CachedSequences some = sequences.range(from, to);
          int n = some.tokens().tokens();
          int[] ofPart = Arrays.copyOfRange(tokens, first, first + n);
          decode(all.rows(first, n), projections.get(part), ofPart, some, cache);
        });
    return all.norm;
  }

  private void decode(
      Activations a, Projections by, int[] tokens, CachedSequences sequences, KvCache cache) {
    int[] positions = sequences.positions();
    float epsilon = config.rmsNormEps();
    backend.gatherRows(a.x, embedding, tokens);
    backend.rmsNorm(a.norm, a.x, layers.getFirst().inputNorm, epsilon);
    for (int i = 0; i < layers.size(); i++) {
      Layer layer = layers.get(i);
      project(by, a.q, a.norm, layer.q);
      project(by, a.k, a.norm, layer.k);
      project(by, a.v, a.norm, layer.v);
      backend.rope(a.q, positions, rope, false);
      backend.rope(a.k, positions, rope, false);
      backend.cachedAttention(a.attended, a.q, a.k, a.v, cache, i, sequences, config.heads());
      project(by, a.change, a.attended, layer.o);
      backend.addRmsNorm(a.norm, a.x, a.change, layer.postAttentionNorm, epsilon);

      project(by, a.gate, a.norm, layer.gate);
      project(by, a.up, a.norm, layer.up);
      backend.swiGlu(a.gated, a.gate, a.up);
      project(by, a.change, a.gated, layer.down);
      Tensor next = i + 1 < layers.size() ? layers.get(i + 1).inputNorm : lastNorm;
      backend.addRmsNorm(a.norm, a.x, a.change, next, epsilon);
    }
  }

  @Override
  public void close() {
    buffers.close();
    ofAdapters.forEach(Buffers::close);
  }
}
