package io.millrace.model.llama;

import io.millrace.model.tensor.Backend;
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

  /** Which activations a pass leaves behind. */
  private enum Kept {
    NOTHING,
    /** Of every layer its input. */
    INPUTS,
    ALL
  }

  private boolean recompute;

  /** The last training pass, which {@link #backward} walks back through. */
  private int[] tokens;

  private Sequences sequences;
  private Kept kept = Kept.NOTHING;

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

  /**
   * From the next {@link #forward} on: whether a training pass keeps only what goes into each
   * layer, and the backward pass computes a layer's other activations again (Chen et al., arXiv
   * 1604.06174). The gradients are the same, bit for bit.
   */
  void recompute(boolean recompute) {
    this.recompute = recompute;
  }

  /**
   * Hidden states [n, h] after the last norm, with the activations kept for {@link #backward}. The
   * tensor is the model's and holds until its next pass.
   */
  public Tensor forward(Parameters weights, int[] tokens, Sequences sequences) {
    this.tokens = tokens;
    this.sequences = sequences;
    return run(weights, tokens, sequences, recompute ? Kept.INPUTS : Kept.ALL);
  }

  /** The same where no backward pass follows: one layer's memory serves all layers. */
  public Tensor infer(Parameters weights, int[] tokens, Sequences sequences) {
    return run(weights, tokens, sequences, Kept.NOTHING);
  }

  private Tensor run(Parameters weights, int[] tokens, Sequences sequences, Kept kept) {
    this.kept = kept;
    int[] positions = sequences.positions();
    int n = tokens.length;
    int h = config.hiddenSize();

    Tensor x = buffers.get("x", 0, n, h);
    backend.gatherRows(x, weights.get(LlamaConfig.EMBEDDING), tokens);
    for (int layer = 0; layer < config.layers(); layer++) {
      int slot = kept == Kept.ALL ? layer : 0;
      Tensor gated = layer(weights, layer, slot, x, positions, sequences);
      Tensor next = buffers.get("x", kept == Kept.NOTHING ? (layer + 1) % 2 : layer + 1, n, h);
      backend.linear(next, gated, weight(weights, layer, "mlp.down_proj"));
      backend.add(next, buffers.get("mid", slot, n, h));
      x = next;
    }
    Tensor out = buffers.get("out", 0, n, h);
    backend.rmsNorm(out, x, weights.get("model.norm.weight"), config.rmsNormEps());
    return out;
  }

  /**
   * A layer up to its last product: mid = x + attention(norm(x)), then gated = swiGlu(norm(mid))
   * [n, f], which is returned; the layer's output is mid + down(gated).
   */
  private Tensor layer(
      Parameters weights, int layer, int slot, Tensor x, int[] positions, Sequences sequences) {
    int n = x.rows();
    int h = config.hiddenSize();
    int queryColumns = config.heads() * config.headDim();
    int kvColumns = config.kvHeads() * config.headDim();
    int f = config.ffnSize();

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
    backend.attention(attended, q, k, v, sequences, config.heads(), config.kvHeads());
    Tensor mid = buffers.get("mid", slot, n, h);
    backend.linear(mid, attended, weight(weights, layer, "self_attn.o_proj"));
    backend.add(mid, x);

    Tensor norm2 = buffers.get("norm2", slot, n, h);
    backend.rmsNorm(
        norm2, mid, weight(weights, layer, "post_attention_layernorm"), config.rmsNormEps());
    Tensor gate = buffers.get("gate", slot, n, f);
    Tensor up = buffers.get("up", slot, n, f);
    Tensor gated = buffers.get("gated", slot, n, f);
    backend.linear(gate, norm2, weight(weights, layer, "mlp.gate_proj"));
    backend.linear(up, norm2, weight(weights, layer, "mlp.up_proj"));
    backend.swiGlu(gated, gate, up);
    return gated;
  }

  /**
   * Adds to the gradients of every trunk parameter, given the loss's derivative [n, h] by the
   * hidden states of the last {@link #forward}.
   */
  public void backward(Parameters weights, Parameters gradients, Tensor dout) {
    if (kept == Kept.NOTHING) {
      throw new IllegalStateException("backward needs a forward pass right before it");
    }
    int[] positions = sequences.positions();
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
      int slot = kept == Kept.ALL ? layer : 0;
      // The forward pass left the last layer's there.
      if (kept == Kept.INPUTS && layer < config.layers() - 1) {
        layer(weights, layer, slot, x, positions, sequences);
      }
      Tensor mid = buffers.get("mid", slot, n, h);

      // Feed-forward block. dx is by next; what the residual carries to mid is already in it.
      Tensor norm2 = buffers.get("norm2", slot, n, h);
      Tensor gate = buffers.get("gate", slot, n, f);
      Tensor up = buffers.get("up", slot, n, f);
      Tensor gated = buffers.get("gated", slot, n, f);
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
      Tensor norm1 = buffers.get("norm1", slot, n, h);
      Tensor q = buffers.get("q", slot, n, queryColumns);
      Tensor k = buffers.get("k", slot, n, kvColumns);
      Tensor v = buffers.get("v", slot, n, kvColumns);
      Tensor attended = buffers.get("attended", slot, n, queryColumns);
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

  /**
   * How much the last token of the last {@link #forward}, of a single sequence, attends to each of
   * its n tokens: softmax of q·k / √headDim as in every layer's attention, averaged over the heads.
   *
   * @return {@code [layers][n]}; every row adds up to 1
   */
  float[][] attentionOfLastToken() {
    if (kept != Kept.ALL || sequences.count() != 1) {
      throw new IllegalStateException(
          "needs a forward pass over one sequence right before it, with all activations kept");
    }
    int n = tokens.length;
    int headDim = config.headDim();
    int kvColumns = config.kvHeads() * headDim;
    int queriesPerKey = config.heads() / config.kvHeads();
    float[][] attention = new float[config.layers()][n];
    for (int layer = 0; layer < config.layers(); layer++) {
      float[] q = buffers.get("q", layer, n, config.heads() * headDim).toFloats();
      float[] k = buffers.get("k", layer, n, kvColumns).toFloats();
      for (int head = 0; head < config.heads(); head++) {
        int query = (n - 1) * config.heads() * headDim + head * headDim;
        int key = head / queriesPerKey * headDim;
        double[] weights = new double[n];
        double max = Double.NEGATIVE_INFINITY;
        for (int t = 0; t < n; t++) {
          for (int i = 0; i < headDim; i++) {
            weights[t] += q[query + i] * k[t * kvColumns + key + i];
          }
          weights[t] /= Math.sqrt(headDim);
          max = Math.max(max, weights[t]);
        }
        double sum = 0;
        for (int t = 0; t < n; t++) {
          weights[t] = Math.exp(weights[t] - max);
          sum += weights[t];
        }
        for (int t = 0; t < n; t++) {
          attention[layer][t] += (float) (weights[t] / sum / config.heads());
        }
      }
    }
    return attention;
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
