package io.millrace.model.tensor;

/**
 * The kernels of a Llama, each beside its backward pass: no graph and no autograd.
 *
 * <p>Shapes are written {@code [rows, columns]}; n is a number of packed tokens. Two rules hold for
 * every kernel: a forward pass overwrites its outputs, a backward pass <b>adds</b> to its gradients
 * (named d…), so that a caller zeroes them once and may accumulate over micro-batches. The two that
 * hand a gradient on to what nothing else reads, {@link #attentionBackward} and {@link
 * #swiGluBackward}, overwrite it, in place of their inputs where a caller so wishes. Sums are
 * accumulated in float32 or better.
 *
 * <p>A backend is used by one thread at a time, or by two through {@link #sideBySide}, and its
 * tensors only with it. Shapes that do not fit are refused with an {@link IllegalArgumentException}
 * that names them, before anything is written. Kernels that go element by element ask only for
 * equal sizes, the others for equal rows and columns. Unless it says so, a kernel's outputs share
 * no memory with its other arguments.
 *
 * <p>Nothing is empty: {@link #allocate} and {@link Tensor#slice} refuse a dimension below 1,
 * {@link Sequences} a sequence without tokens. A caller with nothing to compute, such as an empty
 * response, makes no call.
 *
 * <p>The same calls on the same values give the same bits.
 */
public interface Backend extends AutoCloseable {

  /** The name it is configured by. */
  String name();

  /** What its kernels are made of on this machine, in words for people. */
  default String kernels() {
    return name();
  }

  /** How many threads compute at once in this process. */
  default int threads() {
    return Runtime.getRuntime().availableProcessors();
  }

  /**
   * The most bytes that all tensors of this process held together, scratch memory included; 0 where
   * a backend does not count them.
   */
  default long peakBytes() {
    return 0;
  }

  /**
   * Runs both tasks, at the same time where that is faster: they must not touch each other's
   * tensors. What they compute is the same either way.
   *
   * @param longer the one that is expected to take longer, if either is
   */
  default void sideBySide(Runnable longer, Runnable other) {
    longer.run();
    other.run();
  }

  /** A new tensor of zeros; every dimension is at least 1. */
  Tensor allocate(int... shape);

  void zero(Tensor x);

  void copy(Tensor target, Tensor source);

  /** target += x; both may be the same. */
  void add(Tensor target, Tensor x);

  /** The Euclidean norm of all elements, accumulated in double. */
  double norm(Tensor x);

  /** out [n, o] = x [n, i] · wᵀ, with w [o, i]. */
  void linear(Tensor out, Tensor x, Tensor w);

  /**
   * The same for sampling, where n is small and changes from step to step: a row of out depends on
   * its row of x and on w alone, whatever the other rows are and however many: bit for bit, or up
   * to rounding where a backend says so.
   */
  void linearByRow(Tensor out, Tensor x, Tensor w);

  /** dx [n, i] += dout [n, o] · w; dw [o, i] += doutᵀ · x. */
  void linearBackward(Tensor dx, Tensor dw, Tensor dout, Tensor x, Tensor w);

  /** out [n, h] = the rows of x [m, h] with the given indices. */
  void gatherRows(Tensor out, Tensor x, int[] rows);

  /** dx [m, h] += dout [n, h], row by row; an index may occur more than once. */
  void gatherRowsBackward(Tensor dx, int[] rows, Tensor dout);

  /**
   * out = x / √(mean(x²) + ε) · w, over rows of x [n, h] with w [h] (Zhang &amp; Sennrich, arXiv
   * 1910.07467, equation 4).
   */
  void rmsNorm(Tensor out, Tensor x, Tensor w, float epsilon);

  /** The residual stream's step: x += change [n, h], then out = {@link #rmsNorm} of it. */
  default void addRmsNorm(Tensor out, Tensor x, Tensor change, Tensor w, float epsilon) {
    add(x, change);
    rmsNorm(out, x, w, epsilon);
  }

  void rmsNormBackward(Tensor dx, Tensor dw, Tensor dout, Tensor x, Tensor w, float epsilon);

  /**
   * Rotates the heads of x [n, heads·headDim] in place by position · θ_j, pairs (j, j + headDim/2)
   * as Hugging Face lays them out (Su et al., arXiv 2104.09864, equation 34), θ being {@link
   * Rope#inverseFrequencies}. The backward pass is the rotation the other way round: {@code
   * backward = true} on the gradient.
   *
   * @param positions of each row in its sequence, {@code [n]}
   */
  void rope(Tensor x, int[] positions, Rope rope, boolean backward);

  /**
   * Causal grouped-query attention within each packed sequence (Ainslie et al., arXiv 2305.13245):
   * out [m, heads·d] = softmax(q·kᵀ/√d)·v with q [m, heads·d] of the tokens that ask and k, v [n,
   * kvHeads·d]; query head i reads key head i / (heads / kvHeads).
   */
  void attention(Tensor out, Tensor q, Tensor k, Tensor v, Queries queries, int heads, int kvHeads);

  /**
   * Overwrites dq, dk and dv, which may be q, k and v, given the loss's derivative by what {@link
   * #attention} returned.
   */
  void attentionBackward(
      Tensor dq,
      Tensor dk,
      Tensor dv,
      Tensor dout,
      Tensor q,
      Tensor k,
      Tensor v,
      Queries queries,
      int heads,
      int kvHeads);

  /** out [n, f] = gate · σ(gate) · up (Shazeer, arXiv 2002.05202, equation 6). */
  void swiGlu(Tensor out, Tensor gate, Tensor up);

  /**
   * Overwrites dgate and dup, which may be gate and up, given the loss's derivative by what {@link
   * #swiGlu} returned.
   */
  void swiGluBackward(Tensor dgate, Tensor dup, Tensor dout, Tensor gate, Tensor up);

  /**
   * The head fused with what is wanted of it. Logits are x [n, h] · headᵀ / temperature, head
   * [vocab, h]; they are never all kept.
   *
   * @param logProbs out: log p(targets[i]) in nats, {@code [n]}
   * @param entropies out: the entropy of p in nats, {@code [n]}
   */
  void logProbs(
      float[] logProbs, float[] entropies, Tensor x, Tensor head, int[] targets, float temperature);

  /** Backward of {@link #logProbs}, given the loss's derivative by each log-prob and entropy. */
  void logProbsBackward(
      Tensor dx,
      Tensor dhead,
      float[] dLogProbs,
      float[] dEntropies,
      Tensor x,
      Tensor head,
      int[] targets,
      float temperature);

  /** An empty cache for sampling: pages of {@code pageTokens} tokens each, of every layer. */
  KvCache kvCache(int layers, int pages, int pageTokens, int kvHeads, int headDim);

  /**
   * Attention of new tokens over their sequence's cached ones: writes k, v [n, kvHeads·d] into the
   * cache's pages, then out [n, heads·d] attends over all positions up to the token's own. What the
   * pages held at a new token's position or beyond is forgotten, so that a page serves another
   * sequence without being cleared.
   *
   * <p>Sequences may share pages that none of them writes to in this call.
   */
  void cachedAttention(
      Tensor out,
      Tensor q,
      Tensor k,
      Tensor v,
      KvCache cache,
      int layer,
      CachedSequences sequences,
      int heads);

  /**
   * Draws one token from softmax(logits / temperature) of every row of logits [n, vocab].
   *
   * @param tokens out: the token drawn, {@code [n]}
   * @param logProbs out: its log-prob in nats under the whole distribution at the sampling
   *     temperature (at 1 where that is 0), {@code [n]}
   */
  void sample(int[] tokens, float[] logProbs, Tensor logits, Draws draws);

  /**
   * One AdamW update in place, with bias correction as PyTorch's.
   *
   * @param step number of this update, from 1
   * @param gradientScale multiplies the gradients first (global-norm clipping)
   * @param weightDecay λ for these parameters
   */
  void adamW(
      Tensor parameters,
      Tensor gradients,
      Tensor firstMoment,
      Tensor secondMoment,
      AdamW settings,
      double weightDecay,
      double learningRate,
      double gradientScale,
      long step);

  @Override
  void close();
}
