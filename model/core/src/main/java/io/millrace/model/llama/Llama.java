package io.millrace.model.llama;

import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Queries;
import io.millrace.model.tensor.Rope;
import io.millrace.model.tensor.Sequences;
import io.millrace.model.tensor.Tensor;
import java.util.stream.IntStream;

/**
 * The trunk of a Llama (Touvron et al., arXiv 2302.13971, section 2.2; grouped-query attention as
 * in Llama 2): tokens in, hidden states out, over packed sequences; forward beside backward.
 *
 * <p>In shapes, n is the number of packed tokens, m of those whose hidden states are read, h
 * hiddenSize, f ffnSize, q heads · headDim and kv kvHeads · headDim. A head (the language model's
 * or a scalar one) works on what comes out.
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

  /** The last pass, which {@link #backward} walks back through: who attends, in the last layer. */
  private int[] tokens;

  private Queries everyone;
  private Queries readers;
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
   * Hidden states [m, h] after the last norm at m of the packed rows, with the activations kept for
   * {@link #backward}. The tensor is the model's and holds until its next pass.
   *
   * @param rows where hidden states are read, ascending, at least one. In the last layer the other
   *     tokens are keys and values and nothing more: nobody reads what they attend to. A sequence's
   *     tokens after its last row read are left out altogether
   */
  public Tensor forward(Parameters weights, int[] tokens, Sequences sequences, int[] rows) {
    return run(weights, tokens, sequences, rows, recompute ? Kept.INPUTS : Kept.ALL);
  }

  /** The same where no backward pass follows: one layer's memory serves all layers. */
  public Tensor infer(Parameters weights, int[] tokens, Sequences sequences, int[] rows) {
    return run(weights, tokens, sequences, rows, Kept.NOTHING);
  }

  private Tensor run(Parameters weights, int[] tokens, Sequences sequences, int[] rows, Kept kept) {
    Queries asked = Queries.of(sequences, rows);
    // What comes after the last row read, nobody sees.
    this.tokens = IntStream.of(asked.seen()).map(row -> tokens[row]).toArray();
    this.readers = asked.ofSeen();
    this.everyone = Queries.all(readers.sequences());
    this.kept = kept;
    int h = config.hiddenSize();

    Tensor x = buffers.get("x", 0, this.tokens.length, h);
    backend.gatherRows(x, weights.get(LlamaConfig.EMBEDDING), this.tokens);
    for (int layer = 0; layer < config.layers(); layer++) {
      int slot = kept == Kept.ALL ? layer : 0;
      int m = queries(layer).count();
      Tensor gated = layer(weights, layer, slot, x);
      Tensor next = buffers.get("x", kept == Kept.NOTHING ? (layer + 1) % 2 : layer + 1, m, h);
      backend.linear(next, gated, weight(weights, layer, "mlp.down_proj"));
      backend.add(next, buffers.get("mid", slot, m, h));
      x = next;
    }
    Tensor out = buffers.get("out", 0, x.rows(), h);
    backend.rmsNorm(out, x, weights.get("model.norm.weight"), config.rmsNormEps());
    return out;
  }

  /** The tokens that attend, and go on to the feed-forward block: in the last layer those read. */
  private Queries queries(int layer) {
    return layer == config.layers() - 1 ? readers : everyone;
  }

  /**
   * A layer of x [n, h] up to its last product, for the m tokens that attend in it: mid = x +
   * attention(norm(x)), then gated = swiGlu(norm(mid)) [m, f], which is returned; the layer's
   * output is mid + down(gated).
   */
  private Tensor layer(Parameters weights, int layer, int slot, Tensor x) {
    Queries queries = queries(layer);
    int n = x.rows();
    int m = queries.count();
    int h = config.hiddenSize();
    int queryColumns = config.heads() * config.headDim();
    int kvColumns = config.kvHeads() * config.headDim();
    int f = config.ffnSize();

    Tensor norm1 = buffers.get("norm1", slot, n, h);
    backend.rmsNorm(norm1, x, weight(weights, layer, "input_layernorm"), config.rmsNormEps());
    Tensor q = buffers.get("q", slot, m, queryColumns);
    Tensor k = buffers.get("k", slot, n, kvColumns);
    Tensor v = buffers.get("v", slot, n, kvColumns);
    Tensor asking = ofQueries("asking", queries, norm1);
    backend.linear(q, asking, weight(weights, layer, "self_attn.q_proj"));
    backend.linear(k, norm1, weight(weights, layer, "self_attn.k_proj"));
    backend.linear(v, norm1, weight(weights, layer, "self_attn.v_proj"));
    backend.rope(q, queries.positions(), rope, false);
    backend.rope(k, everyone.positions(), rope, false);
    Tensor attended = buffers.get("attended", slot, m, queryColumns);
    backend.attention(attended, q, k, v, queries, config.heads(), config.kvHeads());
    Tensor mid = buffers.get("mid", slot, m, h);
    backend.linear(mid, attended, weight(weights, layer, "self_attn.o_proj"));
    Tensor norm2 = buffers.get("norm2", slot, m, h);
    backend.addRmsNorm(
        norm2,
        mid,
        ofQueries("residual", queries, x),
        weight(weights, layer, "post_attention_layernorm"),
        config.rmsNormEps());

    Tensor gate = buffers.get("gate", slot, m, f);
    Tensor up = buffers.get("up", slot, m, f);
    Tensor gated = buffers.get("gated", slot, m, f);
    backend.linear(gate, norm2, weight(weights, layer, "mlp.gate_proj"));
    backend.linear(up, norm2, weight(weights, layer, "mlp.up_proj"));
    backend.swiGlu(gated, gate, up);
    return gated;
  }

  /**
   * Adds to the gradients of every trunk parameter, given the loss's derivative [m, h] by the
   * hidden states that the last {@link #forward} returned. Consumes what that pass kept.
   */
  public void backward(Parameters weights, Parameters gradients, Tensor dout) {
    if (kept == Kept.NOTHING) {
      throw new IllegalStateException("backward needs a forward pass right before it");
    }
    int n = tokens.length;
    int h = config.hiddenSize();
    int queryColumns = config.heads() * config.headDim();
    int kvColumns = config.kvHeads() * config.headDim();
    int f = config.ffnSize();

    Tensor dx = buffers.zeroed("dx", readers.count(), h);
    backend.rmsNormBackward(
        dx,
        gradients.get("model.norm.weight"),
        dout,
        buffers.get("x", config.layers(), readers.count(), h),
        weights.get("model.norm.weight"),
        config.rmsNormEps());
    for (int layer = config.layers() - 1; layer >= 0; layer--) {
      Queries queries = queries(layer);
      int m = queries.count();
      Tensor x = buffers.get("x", layer, n, h);
      int slot = kept == Kept.ALL ? layer : 0;
      // The forward pass left the last layer's there.
      if (kept == Kept.INPUTS && layer < config.layers() - 1) {
        layer(weights, layer, slot, x);
      }
      Tensor mid = buffers.get("mid", slot, m, h);

      // Feed-forward block. dx is by next; what the residual carries to mid is already in it.
      Tensor norm2 = buffers.get("norm2", slot, m, h);
      Tensor gate = buffers.get("gate", slot, m, f);
      Tensor up = buffers.get("up", slot, m, f);
      Tensor gated = buffers.get("gated", slot, m, f);
      Tensor dgated = buffers.zeroed("dgated", m, f);
      linearBackward(weights, gradients, layer, "mlp.down_proj", dgated, dx, gated);
      // Read for the last time, they become their gradients: nothing more to fetch or to keep.
      Tensor dgate = gate;
      Tensor dup = up;
      backend.swiGluBackward(dgate, dup, dgated, gate, up);
      Tensor dnorm2 = buffers.zeroed("dnorm2", m, h);
      linearBackward(weights, gradients, layer, "mlp.gate_proj", dnorm2, dgate, norm2);
      linearBackward(weights, gradients, layer, "mlp.up_proj", dnorm2, dup, norm2);
      normBackward(weights, gradients, layer, "post_attention_layernorm", dx, dnorm2, mid);

      // Attention block. dx is now by mid.
      Tensor norm1 = buffers.get("norm1", slot, n, h);
      Tensor q = buffers.get("q", slot, m, queryColumns);
      Tensor k = buffers.get("k", slot, n, kvColumns);
      Tensor v = buffers.get("v", slot, n, kvColumns);
      Tensor attended = buffers.get("attended", slot, m, queryColumns);
      Tensor dattended = buffers.zeroed("dattended", m, queryColumns);
      linearBackward(weights, gradients, layer, "self_attn.o_proj", dattended, dx, attended);
      Tensor dq = q;
      Tensor dk = k;
      Tensor dv = v;
      backend.attentionBackward(
          dq, dk, dv, dattended, q, k, v, queries, config.heads(), config.kvHeads());
      backend.rope(dq, queries.positions(), rope, true);
      backend.rope(dk, everyone.positions(), rope, true);
      Tensor dasking = buffers.zeroed("dasking", m, h);
      Tensor asking = ofQueries("asking", queries, norm1);
      linearBackward(weights, gradients, layer, "self_attn.q_proj", dasking, dq, asking);
      Tensor dnorm1 = ofTokens("dnorm1", queries, dasking);
      linearBackward(weights, gradients, layer, "self_attn.k_proj", dnorm1, dk, norm1);
      linearBackward(weights, gradients, layer, "self_attn.v_proj", dnorm1, dv, norm1);
      dx = ofTokens("dx of all", queries, dx);
      normBackward(weights, gradients, layer, "input_layernorm", dx, dnorm1, x);
    }
    backend.gatherRowsBackward(gradients.get(LlamaConfig.EMBEDDING), tokens, dx);
    kept = Kept.NOTHING;
  }

  /** Of x [n, c] the rows that ask, [m, c]: x itself where all do. */
  private Tensor ofQueries(String name, Queries queries, Tensor x) {
    if (queries.areAll()) {
      return x;
    }
    Tensor rows = buffers.get(name, 0, queries.count(), x.columns());
    backend.gatherRows(rows, x, queries.rows());
    return rows;
  }

  /** The way back of a gradient [m, c] to [n, c]: zero where a token does not ask. */
  private Tensor ofTokens(String name, Queries queries, Tensor rows) {
    if (queries.areAll()) {
      return rows;
    }
    Tensor all = buffers.zeroed(name, tokens.length, rows.columns());
    backend.gatherRowsBackward(all, queries.rows(), rows);
    return all;
  }

  /**
   * How much the last token of the last {@link #forward}, of a single sequence, attends to each of
   * its n tokens: softmax of q·k / √headDim as in every layer's attention, averaged over the heads.
   *
   * @return {@code [layers][n]}; every row adds up to 1
   */
  float[][] attentionOfLastToken() {
    if (kept != Kept.ALL || everyone.sequences().count() != 1 || !readers.areAll()) {
      throw new IllegalStateException(
          "needs a forward pass over one sequence right before it, with all activations kept and"
              + " all rows read");
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
