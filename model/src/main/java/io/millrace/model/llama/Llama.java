package io.millrace.model.llama;

import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.KvCache;
import io.millrace.model.tensor.Rope;
import io.millrace.model.tensor.Sequences;
import io.millrace.model.tensor.Tensor;

/**
 * The trunk of a Llama (Touvron et al., arXiv 2302.13971, section 2.2; grouped-query attention as
 * in Llama 2): tokens in, hidden states out, over packed sequences; forward beside backward.
 *
 * <p>In shapes, n is the number of packed tokens, h hiddenSize, f ffnSize, q heads · headDim and kv
 * kvHeads · headDim. A head (the language model's or a scalar one) works on what comes out.
 */
public final class Llama implements AutoCloseable {

  private final Backend backend;
  private final LlamaConfig config;
  private final Rope rope;
  private final Buffers buffers;

  /** The last training pass, which {@link #backward} walks back through. */
  private int[] tokens;

  private int[] positions;
  private Sequences sequences;

  public Llama(Backend backend, LlamaConfig config) {
    this.backend = backend;
    this.config = config;
    this.rope = config.rope();
    this.buffers = new Buffers(backend);
  }

  public LlamaConfig config() {
    return config;
  }

  public Backend backend() {
    return backend;
  }

  private interface Attention {
    void apply(int layer, Tensor out, Tensor q, Tensor k, Tensor v);
  }

  /**
   * Hidden states [n, h] after the last norm, with every activation kept for {@link #backward}. The
   * tensor is the model's and holds until its next pass.
   */
  public Tensor forward(Parameters weights, int[] tokens, Sequences sequences) {
    this.tokens = tokens;
    this.sequences = sequences;
    this.positions = sequences.positions();
    return run(weights, tokens, positions, true, packed(sequences));
  }

  /** The same where no backward pass follows: one layer's memory serves all layers. */
  public Tensor infer(Parameters weights, int[] tokens, Sequences sequences) {
    return run(weights, tokens, sequences.positions(), false, packed(sequences));
  }

  private Attention packed(Sequences sequences) {
    return (layer, out, q, k, v) ->
        backend.attention(out, q, k, v, sequences, config.heads(), config.kvHeads());
  }

  /**
   * Hidden states [n, h] of new tokens that follow those in the cache, which takes them up.
   *
   * @param slots the cache slot of each sequence
   * @param firstPositions position of each sequence's first new token
   */
  public Tensor decode(
      Parameters weights,
      int[] tokens,
      Sequences sequences,
      KvCache cache,
      int[] slots,
      int[] firstPositions) {
    int[] at = sequences.positions();
    for (int i = 0; i < sequences.count(); i++) {
      for (int t = sequences.start(i); t < sequences.start(i) + sequences.length(i); t++) {
        at[t] += firstPositions[i];
      }
    }
    return run(
        weights,
        tokens,
        at,
        false,
        (layer, out, q, k, v) ->
            backend.cachedAttention(
                out, q, k, v, cache, layer, slots, sequences, firstPositions, config.heads()));
  }

  private Tensor run(
      Parameters weights, int[] tokens, int[] positions, boolean keep, Attention attention) {
    int n = tokens.length;
    int h = config.hiddenSize();
    int queryColumns = config.heads() * config.headDim();
    int kvColumns = config.kvHeads() * config.headDim();
    int f = config.ffnSize();

    Tensor x = buffers.get("x", 0, n, h);
    backend.gatherRows(x, weights.get(LlamaConfig.EMBEDDING), tokens);
    for (int layer = 0; layer < config.layers(); layer++) {
      int slot = keep ? layer : 0;
      // Attention block: mid = x + attention(norm(x)).
      Tensor norm1 = buffers.get("norm1", slot, n, h);
      backend.rmsNorm(norm1, x, weight(weights, layer, "input_layernorm"), config.rmsNormEps());
      Tensor q = buffers.get("q", slot, n, queryColumns);
      Tensor k = buffers.get("k", slot, n, kvColumns);
      Tensor v = buffers.get("v", slot, n, kvColumns);
      backend.linear(q, norm1, weight(weights, layer, "self_attn.q_proj"));
      backend.linear(k, norm1, weight(weights, layer, "self_attn.k_proj"));
      backend.linear(v, norm1, weight(weights, layer, "self_attn.v_proj"));
      backend.rope(q, positions, rope, false);
      backend.rope(k, positions, rope, false);
      Tensor attended = buffers.get("attended", slot, n, queryColumns);
      attention.apply(layer, attended, q, k, v);
      Tensor mid = buffers.get("mid", slot, n, h);
      backend.linear(mid, attended, weight(weights, layer, "self_attn.o_proj"));
      backend.add(mid, x);

      // Feed-forward block: next = mid + down(swiGlu(norm(mid))).
      Tensor norm2 = buffers.get("norm2", slot, n, h);
      backend.rmsNorm(
          norm2, mid, weight(weights, layer, "post_attention_layernorm"), config.rmsNormEps());
      Tensor gate = buffers.get("gate", slot, n, f);
      Tensor up = buffers.get("up", slot, n, f);
      Tensor gated = buffers.get("gated", slot, n, f);
      backend.linear(gate, norm2, weight(weights, layer, "mlp.gate_proj"));
      backend.linear(up, norm2, weight(weights, layer, "mlp.up_proj"));
      backend.swiGlu(gated, gate, up);
      Tensor next = buffers.get("x", keep ? layer + 1 : (layer + 1) % 2, n, h);
      backend.linear(next, gated, weight(weights, layer, "mlp.down_proj"));
      backend.add(next, mid);
      x = next;
    }
    Tensor out = buffers.get("out", 0, n, h);
    backend.rmsNorm(out, x, weights.get("model.norm.weight"), config.rmsNormEps());
    return out;
  }

  /**
   * Adds to the gradients of every trunk parameter, given the loss's derivative [n, h] by the
   * hidden states of the last {@link #forward}.
   */
  public void backward(Parameters weights, Parameters gradients, Tensor dout) {
    if (tokens == null) {
      throw new IllegalStateException("backward needs a forward pass before it");
    }
    int n = tokens.length;
    int h = config.hiddenSize();
    int queryColumns = config.heads() * config.headDim();
    int kvColumns = config.kvHeads() * config.headDim();
    int f = config.ffnSize();

    Tensor dx = buffers.zeroed("dx", n, h);
    backend.rmsNormBackward(
        dx,
        gradients.get("model.norm.weight"),
        dout,
        buffers.get("x", config.layers(), n, h),
        weights.get("model.norm.weight"),
        config.rmsNormEps());
    for (int layer = config.layers() - 1; layer >= 0; layer--) {
      Tensor x = buffers.get("x", layer, n, h);
      Tensor mid = buffers.get("mid", layer, n, h);

      // Feed-forward block. dx is by next; what the residual carries to mid is already in it.
      Tensor norm2 = buffers.get("norm2", layer, n, h);
      Tensor gate = buffers.get("gate", layer, n, f);
      Tensor up = buffers.get("up", layer, n, f);
      Tensor gated = buffers.get("gated", layer, n, f);
      Tensor dgated = buffers.zeroed("dgated", n, f);
      linearBackward(weights, gradients, layer, "mlp.down_proj", dgated, dx, gated);
      Tensor dgate = buffers.zeroed("dgate", n, f);
      Tensor dup = buffers.zeroed("dup", n, f);
      backend.swiGluBackward(dgate, dup, dgated, gate, up);
      Tensor dnorm2 = buffers.zeroed("dnorm", n, h);
      linearBackward(weights, gradients, layer, "mlp.gate_proj", dnorm2, dgate, norm2);
      linearBackward(weights, gradients, layer, "mlp.up_proj", dnorm2, dup, norm2);
      normBackward(weights, gradients, layer, "post_attention_layernorm", dx, dnorm2, mid);

      // Attention block. dx is now by mid.
      Tensor norm1 = buffers.get("norm1", layer, n, h);
      Tensor q = buffers.get("q", layer, n, queryColumns);
      Tensor k = buffers.get("k", layer, n, kvColumns);
      Tensor v = buffers.get("v", layer, n, kvColumns);
      Tensor attended = buffers.get("attended", layer, n, queryColumns);
      Tensor dattended = buffers.zeroed("dattended", n, queryColumns);
      linearBackward(weights, gradients, layer, "self_attn.o_proj", dattended, dx, attended);
      Tensor dq = buffers.zeroed("dq", n, queryColumns);
      Tensor dk = buffers.zeroed("dk", n, kvColumns);
      Tensor dv = buffers.zeroed("dv", n, kvColumns);
      backend.attentionBackward(
          dq, dk, dv, dattended, q, k, v, sequences, config.heads(), config.kvHeads());
      backend.rope(dq, positions, rope, true);
      backend.rope(dk, positions, rope, true);
      Tensor dnorm1 = buffers.zeroed("dnorm", n, h);
      linearBackward(weights, gradients, layer, "self_attn.q_proj", dnorm1, dq, norm1);
      linearBackward(weights, gradients, layer, "self_attn.k_proj", dnorm1, dk, norm1);
      linearBackward(weights, gradients, layer, "self_attn.v_proj", dnorm1, dv, norm1);
      normBackward(weights, gradients, layer, "input_layernorm", dx, dnorm1, x);
    }
    backend.gatherRowsBackward(gradients.get(LlamaConfig.EMBEDDING), tokens, dx);
  }

  private void linearBackward(
      Parameters weights,
      Parameters gradients,
      int layer,
      String name,
      Tensor dx,
      Tensor dout,
      Tensor x) {
    backend.linearBackward(
        dx, weight(gradients, layer, name), dout, x, weight(weights, layer, name));
  }

  private void normBackward(
      Parameters weights,
      Parameters gradients,
      int layer,
      String name,
      Tensor dx,
      Tensor dout,
      Tensor x) {
    backend.rmsNormBackward(
        dx,
        weight(gradients, layer, name),
        dout,
        x,
        weight(weights, layer, name),
        config.rmsNormEps());
  }

  private static Tensor weight(Parameters parameters, int layer, String name) {
    return parameters.get("model.layers." + layer + "." + name + ".weight");
  }

  @Override
  public void close() {
    buffers.close();
  }
}
