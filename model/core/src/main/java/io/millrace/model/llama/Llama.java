package io.millrace.model.llama;

import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Queries;
import io.millrace.model.tensor.Rope;
import io.millrace.model.tensor.Sequences;
import io.millrace.model.tensor.Tensor;
import java.util.stream.IntStream;

/**
 * The trunk of a Llama (Touvron et al., arXiv 2302.13971, section 2.2; grouped-query attention as
 * in Llama 2, arXiv 2307.09288, section 2.2). It computes hidden states from the tokens of packed
 * sequences. The backward pass stands beside the forward pass.
 *
 * <pre>
 *   x = embedding[tokens]
 *   for each layer:
 *     mid  = x + o_proj(attention(rope(q_proj(norm1)), rope(k_proj(norm1)), v_proj(norm1)))
 *     x    = mid + down_proj(swiGlu(gate_proj(norm2), up_proj(norm2)))
 *            with norm1 = rmsNorm(x), norm2 = rmsNorm(mid)
 *   out = rmsNorm(x)
 * </pre>
 *
 * <p>In shapes, n is the number of packed tokens and m the number of tokens whose hidden states are
 * read. The widths are h hiddenSize, f ffnSize, q heads · headDim and kv kvHeads · headDim. A
 * language-model head or a scalar head reads the output.
 */
public final class Llama implements AutoCloseable {

  private final Backend backend;
  private final LlamaConfig config;
  private final Rope rope;
  private final Buffers buffers;
  private final Projections projections;

  /** The activations that a pass keeps for the backward pass. */
  private enum Kept {
    NOTHING,
    /** The input of every layer. */
    INPUTS,
    ALL
  }

  private boolean recompute;

  /** Each token of the last pass that some query attends to. */
  private int[] tokens;

  /** All tokens: the queries of every layer but the last. */
  private Queries allTokens;

  /** The tokens whose hidden states are read: the queries of the last layer. */
  private Queries readTokens;

  private Kept kept = Kept.NOTHING;

  public Llama(Backend backend, LlamaConfig config) {
    this.backend = backend;
    this.config = config;
    this.rope = config.rope();
    this.buffers = new Buffers(backend);
    this.projections = new Projections(backend, buffers);
  }

  public LlamaConfig config() {
    return config;
  }

  public Backend backend() {
    return backend;
  }

  /**
   * Sets whether training passes keep only the input of each layer, from the next {@link #forward}
   * on. The backward pass then computes a layer's other activations again (Chen et al., arXiv
   * 1604.06174). The gradients are the same bit for bit.
   */
  void recompute(boolean recompute) {
    this.recompute = recompute;
  }

  /**
   * The hidden states {@code [m, h]} after the last norm. Keeps the activations for {@link
   * #backward}.
   *
   * <p>Hidden states are computed only where they are needed. In the last layer the other tokens
   * serve as keys and values only. The tokens of a sequence after its last row read are left out of
   * the pass.
   *
   * @param weights with at least {@link LlamaConfig#trunkParameters}
   * @param tokens token ids, {@code [n]}
   * @param rows packed rows whose hidden states are read, {@code [m]}, ascending, at least one
   * @return a tensor of the model, valid until its next pass
   */
  public Tensor forward(Weights weights, int[] tokens, Sequences sequences, int[] rows) {
    return run(weights, tokens, sequences, rows, recompute ? Kept.INPUTS : Kept.ALL);
  }

  /** As {@link #forward}, without a backward pass. All layers share the memory of one. */
  public Tensor infer(Weights weights, int[] tokens, Sequences sequences, int[] rows) {
    return run(weights, tokens, sequences, rows, Kept.NOTHING);
  }

  private Tensor run(Weights weights, int[] tokens, Sequences sequences, int[] rows, Kept kept) {
    Queries wanted = Queries.of(sequences, rows);
    // A token after the last row read has no effect on any row read: attention is causal.
    this.tokens = IntStream.of(wanted.seen()).map(row -> tokens[row]).toArray();
    this.readTokens = wanted.ofSeen();
    this.allTokens = Queries.all(readTokens.sequences());
    this.kept = kept;
    int h = config.hiddenSize();

    Tensor x = buffers.get("x", 0, this.tokens.length, h);
    backend.gatherRows(x, weights.get(LlamaConfig.EMBEDDING), this.tokens);
    for (int layer = 0; layer < config.layers(); layer++) {
      int slot = kept == Kept.ALL ? layer : 0;
      int m = queries(layer).count();
      Tensor gated = layer(weights, layer, slot, x);
      Tensor next = buffers.get("x", kept == Kept.NOTHING ? (layer + 1) % 2 : layer + 1, m, h);
      projections.forward(next, gated, weights, name(layer, "mlp.down_proj"));
      backend.add(next, buffers.get("mid", slot, m, h));
      x = next;
    }
    Tensor out = buffers.get("out", 0, x.rows(), h);
    backend.rmsNorm(out, x, weights.get("model.norm.weight"), config.rmsNormEps());
    return out;
  }

  /** The tokens that attend in a layer and enter its feed-forward block. */
  private Queries queries(int layer) {
    return layer == config.layers() - 1 ? readTokens : allTokens;
  }

  /**
   * A layer up to its last product: {@code mid = x + attention(norm(x))} and {@code gated =
   * swiGlu(norm(mid))}. The output of the layer is {@code mid + down_proj(gated)}.
   *
   * @param x {@code [n, h]}
   * @return gated {@code [m, f]}, for the m tokens that attend in this layer
   */
  private Tensor layer(Weights weights, int layer, int slot, Tensor x) {
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
    Tensor attending = ofQueries("attending", queries, norm1);
    projections.forward(q, attending, weights, name(layer, "self_attn.q_proj"));
    projections.forward(k, norm1, weights, name(layer, "self_attn.k_proj"));
    projections.forward(v, norm1, weights, name(layer, "self_attn.v_proj"));
    backend.rope(q, queries.positions(), rope, false);
    backend.rope(k, allTokens.positions(), rope, false);
    Tensor attended = buffers.get("attended", slot, m, queryColumns);
    backend.attention(attended, q, k, v, queries, config.heads(), config.kvHeads());
    Tensor mid = buffers.get("mid", slot, m, h);
    projections.forward(mid, attended, weights, name(layer, "self_attn.o_proj"));
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
    projections.forward(gate, norm2, weights, name(layer, "mlp.gate_proj"));
    projections.forward(up, norm2, weights, name(layer, "mlp.up_proj"));
    backend.swiGlu(gated, gate, up);
    return gated;
  }

  /**
   * Backward pass of the last {@link #forward}, once: it overwrites the activations that the pass
   * kept.
   *
   * @param gradients of the trained parameters, added to
   * @param dout derivative of the loss by the hidden states, {@code [m, h]}
   * @throws IllegalStateException unless {@link #forward} was the last pass
   */
  public void backward(Weights weights, Parameters gradients, Tensor dout) {
    if (kept == Kept.NOTHING) {
      throw new IllegalStateException(
          "backward: the last pass kept no activations; call forward right before backward");
    }
    int n = tokens.length;
    int h = config.hiddenSize();
    int queryColumns = config.heads() * config.headDim();
    int kvColumns = config.kvHeads() * config.headDim();
    int f = config.ffnSize();

    Tensor dx = buffers.zeroed("dx", readTokens.count(), h);
    backend.rmsNormBackward(
        dx,
        gradients.find("model.norm.weight"),
        dout,
        buffers.get("x", config.layers(), readTokens.count(), h),
        weights.get("model.norm.weight"),
        config.rmsNormEps());
    for (int layer = config.layers() - 1; layer >= 0; layer--) {
      Queries queries = queries(layer);
      int m = queries.count();
      Tensor x = buffers.get("x", layer, n, h);
      int slot = kept == Kept.ALL ? layer : 0;
      // The activations of the last layer are still there from the forward pass.
      if (kept == Kept.INPUTS && layer < config.layers() - 1) {
        layer(weights, layer, slot, x);
      }
      Tensor mid = buffers.get("mid", slot, m, h);

      // Feed-forward block. dx is the derivative by the layer's output. The residual connection
      // passes it on to mid unchanged.
      Tensor norm2 = buffers.get("norm2", slot, m, h);
      Tensor gate = buffers.get("gate", slot, m, f);
      Tensor up = buffers.get("up", slot, m, f);
      Tensor gated = buffers.get("gated", slot, m, f);
      Tensor dgated = buffers.zeroed("dgated", m, f);
      linearBackward(weights, gradients, layer, "mlp.down_proj", dgated, dx, gated);
      // gate and up are not needed again: their gradients take their place, which saves memory
      // traffic.
      Tensor dgate = gate;
      Tensor dup = up;
      backend.swiGluBackward(dgate, dup, dgated, gate, up);
      Tensor dnorm2 = buffers.zeroed("dnorm2", m, h);
      linearBackward(weights, gradients, layer, "mlp.gate_proj", dnorm2, dgate, norm2);
      linearBackward(weights, gradients, layer, "mlp.up_proj", dnorm2, dup, norm2);
      normBackward(weights, gradients, layer, "post_attention_layernorm", dx, dnorm2, mid);

      // Attention block. dx is now the derivative by mid.
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
      backend.rope(dk, allTokens.positions(), rope, true);
      Tensor dattending = buffers.zeroed("dattending", m, h);
      Tensor attending = ofQueries("attending", queries, norm1);
      linearBackward(weights, gradients, layer, "self_attn.q_proj", dattending, dq, attending);
      Tensor dnorm1 = ofTokens("dnorm1", queries, dattending);
      linearBackward(weights, gradients, layer, "self_attn.k_proj", dnorm1, dk, norm1);
      linearBackward(weights, gradients, layer, "self_attn.v_proj", dnorm1, dv, norm1);
      dx = ofTokens("dx of all tokens", queries, dx);
      normBackward(weights, gradients, layer, "input_layernorm", dx, dnorm1, x);
    }
    Tensor dembedding = gradients.find(LlamaConfig.EMBEDDING);
    if (dembedding != null) {
      backend.gatherRowsBackward(dembedding, tokens, dx);
    }
    kept = Kept.NOTHING;
  }

  /** The rows of x {@code [n, c]} that attend, {@code [m, c]}; x itself where all do. */
  private Tensor ofQueries(String name, Queries queries, Tensor x) {
    if (queries.areAll()) {
      return x;
    }
    Tensor rows = buffers.get(name, 0, queries.count(), x.columns());
    backend.gatherRows(rows, x, queries.rows());
    return rows;
  }

  /**
   * Backward pass of {@link #ofQueries}: the gradient {@code [m, c]} as {@code [n, c]}, 0 for a
   * token that does not attend.
   */
  private Tensor ofTokens(String name, Queries queries, Tensor rows) {
    if (queries.areAll()) {
      return rows;
    }
    Tensor all = buffers.zeroed(name, tokens.length, rows.columns());
    backend.gatherRowsBackward(all, queries.rows(), rows);
    return all;
  }

  /**
   * Attention of the last token to each of the n tokens of the last {@link #forward}, which must be
   * over a single sequence: softmax of q·k / √headDim as in the attention of a layer, averaged over
   * the heads.
   *
   * @return {@code [layers][n]}; every row sums to 1
   */
  float[][] attentionOfLastToken() {
    if (kept != Kept.ALL || allTokens.sequences().count() != 1 || !readTokens.areAll()) {
      throw new IllegalStateException(
          "attentionOfLastToken: the last pass must be a forward pass over one sequence that reads"
              + " all rows and keeps all activations");
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
      Weights weights,
      Parameters gradients,
      int layer,
      String name,
      Tensor dx,
      Tensor dout,
      Tensor x) {
    projections.backward(dx, gradients, dout, x, weights, name(layer, name));
  }

  private void normBackward(
      Weights weights,
      Parameters gradients,
      int layer,
      String name,
      Tensor dx,
      Tensor dout,
      Tensor x) {
    backend.rmsNormBackward(
        dx,
        gradients.find(name(layer, name)),
        dout,
        x,
        weight(weights, layer, name),
        config.rmsNormEps());
  }

  private static Tensor weight(Weights weights, int layer, String name) {
    return weights.get(name(layer, name));
  }

  private static String name(int layer, String name) {
    return "model.layers." + layer + "." + name + ".weight";
  }

  @Override
  public void close() {
    buffers.close();
  }
}
