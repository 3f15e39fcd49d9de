package io.millrace.model.tensor;

import java.util.function.IntConsumer;

/**
 * The kernels of a Llama, on the processor or device that a backend is made for. Each backward pass
 * stands beside its forward pass; there is no graph and no autograd. A model calls the kernels in
 * order, and calls their backward passes in reverse order.
 *
 * <h2>Notation</h2>
 *
 * <p>A tensor is dense and row-major. It is float32, or bfloat16 where {@link #allocateActivation}
 * says so. Shapes are written {@code [rows, columns]}:
 *
 * <pre>
 *   n       packed tokens: sequences follow one another without padding ({@link Sequences})
 *   m       tokens that attend, at most n ({@link Queries})
 *   h, f    width of the residual stream, and of the feed-forward block
 *   d       width of an attention head
 *   x · y   matrix product, or product with a number
 *   x ∘ y   product element by element; a vector y applies to each row of x
 *   dx      derivative of the loss by x, of the shape of x
 * </pre>
 *
 * <h2>Rules of every kernel</h2>
 *
 * <ul>
 *   <li><b>Overwrite or add.</b> A forward pass overwrites its outputs. A backward pass <b>adds</b>
 *       to its gradients, so a caller zeroes them once and can accumulate over micro-batches. Two
 *       kernels overwrite their gradients: {@link #attentionBackward} and {@link #swiGluBackward}.
 *   <li><b>Frozen weights.</b> A backward pass accepts null for the gradient of its weights. It
 *       then computes the gradient of its input alone.
 *   <li><b>Aliasing.</b> An output shares no memory with any other argument, unless the kernel's
 *       description allows it.
 *   <li><b>Shapes.</b> Kernels that work element by element ask for equal sizes. All others ask for
 *       equal rows and columns.
 *   <li><b>Errors.</b> Arguments that do not fit cause an {@link IllegalArgumentException}. It
 *       names the kernel and the shapes, and it is thrown before anything is written.
 *   <li><b>Empty arguments.</b> There are none: {@link #allocate} and {@link Tensor#slice} refuse a
 *       dimension below 1, and {@link Sequences} refuses a sequence without tokens. A caller with
 *       nothing to compute makes no call.
 *   <li><b>Precision.</b> Sums are accumulated in float32 or better.
 *   <li><b>Repeatability.</b> The same calls on the same values give the same bits, on the same
 *       kind of processor and with the same number of threads.
 *   <li><b>Threads.</b> One thread at a time uses a backend, or two through {@link #sideBySide}. A
 *       tensor belongs to the backend that allocated it, except that others may read it once it is
 *       frozen, see {@link #freeze}.
 * </ul>
 *
 * <p>The float64 loops of {@code io.millrace.model.contract.Reference} define every kernel in
 * readable form. {@code BackendContract} in the same package tests a backend against them.
 */
public interface Backend extends AutoCloseable {

  /** The name in the configuration, such as {@code cpu}. */
  String name();

  /** The instructions or libraries that the kernels use on this machine, to be shown to people. */
  default String kernels() {
    return name();
  }

  /** The number of threads that compute at once in this process. */
  default int threads() {
    return Runtime.getRuntime().availableProcessors();
  }

  /**
   * The peak memory of all tensors of this process, scratch memory included, in bytes. It is 0 for
   * a backend that does not count.
   */
  default long peakBytes() {
    return 0;
  }

  /**
   * The memory of all tensors of this process now, in bytes; 0 for a backend that does not count.
   */
  default long bytes() {
    return 0;
  }

  /** Bytes that all backends of this process copied from the host to a device so far. */
  default long bytesToDevice() {
    return 0;
  }

  /** Bytes that all backends of this process copied from a device to the host so far. */
  default long bytesFromDevice() {
    return 0;
  }

  /**
   * Runs both tasks, at the same time where that is faster. The results are the same either way.
   * The tasks must not share tensors.
   *
   * @param longer the task that is expected to take longer, if either is
   */
  default void sideBySide(Runnable longer, Runnable other) {
    longer.run();
    other.run();
  }

  /**
   * The number of parts into which sequences that are sampled together are best divided. Each part
   * then goes through the whole model on one thread, see {@link #inParallel}. It is 1 where the
   * threads rather share each kernel.
   *
   * @param sequences number of sequences, at least 1
   * @param weights number of weights that each part reads
   */
  default int parts(int sequences, long weights) {
    return 1;
  }

  /**
   * Runs the tasks 0 to {@code count − 1}, at the same time where that is faster. A task writes no
   * tensor that another task reads or writes.
   */
  default void inParallel(int count, IntConsumer task) {
    for (int i = 0; i < count; i++) {
      task.accept(i);
    }
  }

  /**
   * A new tensor of zeros. The caller closes it.
   *
   * @param shape sizes of the dimensions, outermost first, each at least 1
   */
  Tensor allocate(int... shape);

  /**
   * A new tensor of zeros for activations and their gradients, in the backend's {@link Precision}.
   * The kernels convert: a product of bfloat16 activations reads a bfloat16 copy of its float32
   * weights, which the backend makes again after the weights change.
   *
   * @param shape sizes of the dimensions, outermost first, each at least 1
   */
  default Tensor allocateActivation(int... shape) {
    return allocate(shape);
  }

  /**
   * The backends that may read each other's frozen tensors return the same text. A process needs
   * one copy of frozen weights for each such group.
   */
  default String frozenGroup() {
    return name();
  }

  /**
   * Declares that nobody writes to a tensor any more. Until the tensor is closed, all backends of
   * the {@link #frozenGroup} may read it, on any thread, also after this backend was closed. The
   * caller makes the tensor known to other threads afterwards.
   */
  default void freeze(Tensor x) {}

  /** Allows writes to a frozen tensor again, after all other threads have finished reading it. */
  default void thaw(Tensor x) {}

  /** {@code x = 0}. */
  void zero(Tensor x);

  /** {@code target = source}, for tensors of equal size. */
  void copy(Tensor target, Tensor source);

  /** {@code target += x}, for tensors of equal size. Both may be the same tensor. */
  void add(Tensor target, Tensor x);

  /** {@code x = factor · x}. */
  void scale(Tensor x, double factor);

  /** The Euclidean norm of all elements, {@code √Σx²}, accumulated in float64. */
  double norm(Tensor x);

  /**
   * Embedding look-up: {@code out[i] = x[rows[i]]}.
   *
   * @param out overwritten, {@code [n, h]}
   * @param x {@code [vocab, h]}, or any other matrix
   * @param rows indices into the rows of x, {@code [n]}; an index may occur more than once
   */
  void gatherRows(Tensor out, Tensor x, int[] rows);

  /**
   * Backward pass of {@link #gatherRows}: {@code dx[rows[i]] += dout[i]}.
   *
   * @param dx added to, {@code [vocab, h]}
   * @param rows as in the forward pass, {@code [n]}
   * @param dout {@code [n, h]}
   */
  void gatherRowsBackward(Tensor dx, int[] rows, Tensor dout);

  /**
   * Matrix product: {@code out = x · wᵀ}. There is no bias.
   *
   * @param out overwritten, {@code [n, o]}
   * @param x {@code [n, i]}
   * @param w {@code [o, i]}
   */
  void linear(Tensor out, Tensor x, Tensor w);

  /**
   * Backward pass of {@link #linear}: {@code dx += dout · w} and {@code dw += doutᵀ · x}.
   *
   * @param dx added to, {@code [n, i]}
   * @param dw added to, {@code [o, i]}; null if w is frozen
   * @param dout {@code [n, o]}
   * @param x as in the forward pass, {@code [n, i]}
   * @param w as in the forward pass, {@code [o, i]}
   */
  void linearBackward(Tensor dx, Tensor dw, Tensor dout, Tensor x, Tensor w);

  /**
   * RMSNorm (Zhang &amp; Sennrich, arXiv 1910.07467, equation 4), row by row:
   *
   * <pre>
   *   r = 1 / √(mean(x²) + ε)
   *   out = x · r ∘ w
   * </pre>
   *
   * @param out overwritten, {@code [n, h]}
   * @param x {@code [n, h]}
   * @param w the gain, {@code [h]}
   * @param epsilon ε
   */
  void rmsNorm(Tensor out, Tensor x, Tensor w, float epsilon);

  /**
   * A step of the residual stream: {@code x += change}, then {@link #rmsNorm} of the sum.
   *
   * @param out overwritten, {@code [n, h]}
   * @param x added to, {@code [n, h]}
   * @param change {@code [n, h]}
   * @param w the gain, {@code [h]}
   * @param epsilon ε
   */
  default void addRmsNorm(Tensor out, Tensor x, Tensor change, Tensor w, float epsilon) {
    add(x, change);
    rmsNorm(out, x, w, epsilon);
  }

  /**
   * Backward pass of {@link #rmsNorm}:
   *
   * <pre>
   *   x̂ = x · r,   g = dout ∘ w
   *   dx += r · (g − x̂ · mean(g ∘ x̂))
   *   dw += Σ_rows dout ∘ x̂
   * </pre>
   *
   * @param dx added to, {@code [n, h]}
   * @param dw added to, {@code [h]}; null if w is frozen
   * @param dout {@code [n, h]}
   * @param x as in the forward pass, {@code [n, h]}
   * @param w as in the forward pass, {@code [h]}
   * @param epsilon ε
   */
  void rmsNormBackward(Tensor dx, Tensor dw, Tensor dout, Tensor x, Tensor w, float epsilon);

  /**
   * Rotary position embedding in place (Su et al., arXiv 2104.09864, equation 34), with the two
   * halves of a head as pairs, as Hugging Face lays them out. For j below d/2:
   *
   * <pre>
   *   φ = position · θ_j,   (a, b) = (x[j], x[j + d/2])
   *   x[j]       = a · cos φ − b · sin φ
   *   x[j + d/2] = b · cos φ + a · sin φ
   * </pre>
   *
   * <p>The backward pass is the rotation by −φ, applied to the gradient in place.
   *
   * @param x overwritten, {@code [n, heads · d]}
   * @param positions position of each row in its own sequence, {@code [n]}, at least 0
   * @param rope the head width d and the frequencies θ ({@link Rope#inverseFrequencies})
   * @param backward whether to rotate by −φ
   */
  void rope(Tensor x, int[] positions, Rope rope, boolean backward);

  /**
   * Causal attention within each packed sequence (Vaswani et al., arXiv 1706.03762, equation 1),
   * with grouped queries: query head i reads key head {@code i / (heads / kvHeads)} (Ainslie et
   * al., arXiv 2305.13245, section 2.2). For each head:
   *
   * <pre>
   *   P = softmax(q · kᵀ / √d), over the keys of the sequence up to the query's own position
   *   out = P · v
   * </pre>
   *
   * @param out overwritten, {@code [m, heads · d]}
   * @param q {@code [m, heads · d]}
   * @param k {@code [n, kvHeads · d]}
   * @param v {@code [n, kvHeads · d]}
   * @param queries the tokens that attend, m of n
   * @param heads query heads
   * @param kvHeads key and value heads, a divisor of heads
   */
  void attention(Tensor out, Tensor q, Tensor k, Tensor v, Queries queries, int heads, int kvHeads);

  /**
   * Backward pass of {@link #attention} (Dao et al., arXiv 2205.14135, appendix B.2). It
   * <b>overwrites</b> its gradients. For each head:
   *
   * <pre>
   *   dP = dout · vᵀ
   *   dS = P ∘ (dP − Σ_keys P ∘ dP) / √d
   *   dq = dS · k
   *   dk = dSᵀ · q,   dv = Pᵀ · dout, each summed over the query heads that read the key head
   * </pre>
   *
   * @param dq overwritten, {@code [m, heads · d]}; may be q
   * @param dk overwritten, {@code [n, kvHeads · d]}; may be k
   * @param dv overwritten, {@code [n, kvHeads · d]}; may be v
   * @param dout {@code [m, heads · d]}
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

  /**
   * SwiGLU (Shazeer, arXiv 2002.05202, equation 6), with σ the logistic function: {@code out = gate
   * ∘ σ(gate) ∘ up}.
   *
   * @param out overwritten, {@code [n, f]}
   * @param gate {@code [n, f]}
   * @param up {@code [n, f]}
   */
  void swiGlu(Tensor out, Tensor gate, Tensor up);

  /**
   * Backward pass of {@link #swiGlu}. It <b>overwrites</b> its gradients. With {@code s = σ(gate)}:
   *
   * <pre>
   *   dup   = dout ∘ gate ∘ s
   *   dgate = dout ∘ up ∘ s ∘ (1 + gate ∘ (1 − s))
   * </pre>
   *
   * @param dgate overwritten, {@code [n, f]}; may be gate
   * @param dup overwritten, {@code [n, f]}; may be up
   * @param dout {@code [n, f]}
   */
  void swiGluBackward(Tensor dgate, Tensor dup, Tensor dout, Tensor gate, Tensor up);

  /**
   * The language-model head, fused with log-probabilities and entropies. For each row i:
   *
   * <pre>
   *   z = x[i] · headᵀ / temperature,   p = softmax(z)
   *   logProbs[i]  = log p(targets[i])
   *   entropies[i] = H = −Σ_v p(v) · log p(v)
   * </pre>
   *
   * <p>The logits z of all rows never exist at the same time.
   *
   * @param logProbs overwritten, in nats, {@code [n]}
   * @param entropies overwritten, in nats, {@code [n]}
   * @param x hidden states, {@code [n, h]}
   * @param head {@code [vocab, h]}
   * @param targets token ids, {@code [n]}
   * @param temperature above 0
   */
  void logProbs(
      float[] logProbs, float[] entropies, Tensor x, Tensor head, int[] targets, float temperature);

  /**
   * Backward pass of {@link #logProbs}. For each row i, with {@code 1{…}} the indicator:
   *
   * <pre>
   *   dz(v) = dLogProbs[i] · (1{v = targets[i]} − p(v)) − dEntropies[i] · p(v) · (log p(v) + H)
   *   dx[i] += dz · head / temperature
   *   dhead += dzᵀ · x[i] / temperature
   * </pre>
   *
   * @param dx added to, {@code [n, h]}
   * @param dhead added to, {@code [vocab, h]}; null if the head is frozen
   * @param dLogProbs derivative of the loss by each log-probability, {@code [n]}
   * @param dEntropies derivative of the loss by each entropy, {@code [n]}
   */
  void logProbsBackward(
      Tensor dx,
      Tensor dhead,
      float[] dLogProbs,
      float[] dEntropies,
      Tensor x,
      Tensor head,
      int[] targets,
      float temperature);

  /**
   * {@link #linear} for sampling, where n is small and changes from step to step. A row of out
   * depends on its own row of x and on w alone, not on the other rows and not on n. It is the same
   * bit for bit, or up to rounding where a backend documents that.
   */
  void linearByRow(Tensor out, Tensor x, Tensor w);

  /**
   * A cache of keys and values for sampling (Kwon et al., arXiv 2309.06180, section 4.1). The
   * content of a page is undefined until tokens are written to it. The caller closes the cache.
   *
   * @param layers layers of the model
   * @param pages pages of the cache; a page holds its tokens' keys and values of every layer
   * @param pageTokens tokens of a page
   * @param kvHeads key and value heads of a layer
   * @param headDim d
   */
  KvCache kvCache(int layers, int pages, int pageTokens, int kvHeads, int headDim);

  /**
   * {@link #attention} of new tokens over the cached tokens of their sequence and over each other.
   * It writes k and v to the cache first. Then each new token attends to all positions up to its
   * own.
   *
   * <p>Whatever a page held at or after a sequence's first new position is forgotten. A page can
   * therefore serve another sequence without being cleared.
   *
   * @param out overwritten, {@code [n, heads · d]}
   * @param q of the new tokens, {@code [n, heads · d]}
   * @param k of the new tokens, {@code [n, kvHeads · d]}
   * @param v of the new tokens, {@code [n, kvHeads · d]}
   * @param cache read and written; kvHeads and d are its own
   * @param layer the layer of the cache, from 0
   * @param sequences the new tokens and their pages; sequences may share a page only if none of
   *     them writes to it in this call
   * @param heads query heads
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
   * Draws one token from each row of logits, from {@code softmax(logits / temperature)} restricted
   * to the nucleus that {@link Draws} describes. A row's token depends on that row alone.
   *
   * @param tokens overwritten with the drawn token ids, {@code [n]}
   * @param logProbs overwritten with the log-probability of each drawn token, in nats, {@code [n]}.
   *     It is taken under the whole distribution at the sampling temperature, and at temperature 1
   *     where the sampling temperature is 0
   * @param logits {@code [n, vocab]}
   * @param draws temperature, top-p and uniform number of each row
   */
  void sample(int[] tokens, float[] logProbs, Tensor logits, Draws draws);

  /**
   * One AdamW update in place (Loshchilov &amp; Hutter, arXiv 1711.05101, algorithm 2), with weight
   * decay and bias correction as in PyTorch's {@code torch.optim.AdamW}:
   *
   * <pre>
   *   g = gradientScale · gradients
   *   m = β₁ · m + (1 − β₁) · g,    m̂ = m / (1 − β₁^step)
   *   v = β₂ · v + (1 − β₂) · g²,   v̂ = v / (1 − β₂^step)
   *   parameters = parameters · (1 − learningRate · weightDecay) − learningRate · m̂ / (√v̂ + ε)
   * </pre>
   *
   * @param parameters updated; all four tensors have the same size
   * @param gradients read only
   * @param firstMoment m, updated
   * @param secondMoment v, updated
   * @param settings β₁, β₂ and ε; its weight decay and clipping norm are not read
   * @param weightDecay λ for these parameters
   * @param learningRate of this update
   * @param gradientScale factor for global-norm clipping; 1 for none
   * @param step number of this update, from 1
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

  /** Frees the scratch memory. Tensors and caches are closed by their owners. */
  @Override
  void close();
}
