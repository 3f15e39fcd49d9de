package io.millrace.model.cpu;

import io.millrace.model.cpu.Elements.AdamWStep;
import io.millrace.model.cpu.tiles.MachineTiles;
import io.millrace.model.cpu.tiles.Tiles;
import io.millrace.model.tensor.AdamW;
import io.millrace.model.tensor.Arguments;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.CachedSequences;
import io.millrace.model.tensor.Draws;
import io.millrace.model.tensor.KvCache;
import io.millrace.model.tensor.Queries;
import io.millrace.model.tensor.Rope;
import io.millrace.model.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.IntConsumer;

/**
 * The backend {@code cpu}. {@link Tiles} of machine code compute matrix products and attention.
 * Fused kernels of the Vector API compute everything else. All kernels work on the same native
 * memory, with the threads of one {@link WorkPool}. OpenBLAS computes the matrix products on
 * processors without machine code.
 */
public final class CpuBackend implements Backend {

  /**
   * Weights that fit the second-level cache of a core. Threads that share a larger model divide the
   * weights of each kernel instead, so that each of them reads only its part.
   */
  private static final long MAX_CACHED_WEIGHTS = 256 * 1024;

  private final WorkPool pool;
  private final Workspace workspace;
  private final Workspace panels;
  private final Tiles tiles;
  private final Elements elements;
  private final RmsNorm rmsNorm;
  private final Products products;
  private final Map<Rope, Rotation> rotations = new ConcurrentHashMap<>();

  /** A backend that uses the threads of the process-wide pool. */
  public CpuBackend() {
    this(WorkPool.shared());
  }

  CpuBackend(WorkPool pool) {
    this(pool, Tiles.ofThisMachine());
  }

  CpuBackend(WorkPool pool, Tiles tiles) {
    this.pool = pool;
    this.tiles = tiles;
    this.workspace = new Workspace(pool.budget());
    // A separate workspace, because logits are in the other one while products compute them.
    this.panels = new Workspace(pool.budget());
    this.elements = new Elements(pool);
    this.rmsNorm = new RmsNorm(pool, workspace);
    this.products =
        new Products(
            pool,
            tiles instanceof MachineTiles ? new TiledGemm(tiles, panels) : new Blas(),
            panels);
  }

  @Override
  public String name() {
    return "cpu";
  }

  @Override
  public String kernels() {
    return tiles.toString();
  }

  @Override
  public int threads() {
    return pool.budget();
  }

  @Override
  public long bytes() {
    return CpuTensor.bytes();
  }

  @Override
  public long peakBytes() {
    return CpuTensor.peakBytes();
  }

  @Override
  public void sideBySide(Runnable longer, Runnable other) {
    pool.sideBySide(longer, other);
  }

  @Override
  public int parts(int sequences, long weights) {
    if (weights > MAX_CACHED_WEIGHTS) {
      return 1;
    }
    long most = Math.max(1, sequences * weights / Products.MIN_WORK);
    return (int) Math.min(Math.min(pool.budget(), sequences), most);
  }

  @Override
  public void inParallel(int count, IntConsumer task) {
    // Kernels of a task run on its own thread, because the others of the pool are taken.
    pool.run(count, (unit, worker) -> task.accept(unit));
  }

  @Override
  public Tensor allocate(int... shape) {
    return CpuTensor.allocate(shape);
  }

  @Override
  public void zero(Tensor x) {
    elements.zero(memory(x), x.size());
  }

  @Override
  public void copy(Tensor target, Tensor source) {
    Arguments.requireSameSize("copy", target, source);
    elements.copy(memory(target), memory(source), target.size());
  }

  @Override
  public void add(Tensor target, Tensor x) {
    Arguments.requireSameSize("add", target, x);
    elements.add(memory(target), memory(x), target.size());
  }

  @Override
  public void scale(Tensor x, double factor) {
    elements.scale(memory(x), (float) factor, x.size());
  }

  @Override
  public double norm(Tensor x) {
    return elements.norm(memory(x), x.size());
  }

  @Override
  public void linear(Tensor out, Tensor x, Tensor w) {
    Arguments.linear("linear", out, x, w);
    products.linear(CpuTensor.of(out), CpuTensor.of(x), CpuTensor.of(w));
  }

  @Override
  public void linearByRow(Tensor out, Tensor x, Tensor w) {
    Arguments.linear("linearByRow", out, x, w);
    products.linearByRow(CpuTensor.of(out), CpuTensor.of(x), CpuTensor.of(w));
  }

  @Override
  public void linearBackward(Tensor dx, Tensor dw, Tensor dout, Tensor x, Tensor w) {
    Arguments.linearBackward(dx, dw, dout, x, w);
    products.linearBackward(
        CpuTensor.of(dx), CpuTensor.of(dw), CpuTensor.of(dout), CpuTensor.of(x), CpuTensor.of(w));
  }

  @Override
  public void gatherRows(Tensor out, Tensor x, int[] rows) {
    Arguments.gatherRows(out, x, rows);
    MemorySegment to = memory(out);
    MemorySegment from = memory(x);
    long bytes = 4L * x.columns();
    RowBlocks blocks = RowBlocks.of(rows.length, x.columns(), pool);
    pool.run(
        blocks.count(),
        (unit, worker) -> {
          for (int i = blocks.start(unit); i < blocks.end(unit); i++) {
            MemorySegment.copy(from, rows[i] * bytes, to, i * bytes, bytes);
          }
        });
  }

  @Override
  public void gatherRowsBackward(Tensor dx, int[] rows, Tensor dout) {
    Arguments.gatherRowsBackward(dx, rows, dout);
    elements.addRows(memory(dx), rows, memory(dout), dx.columns());
  }

  @Override
  public void rmsNorm(Tensor out, Tensor x, Tensor w, float epsilon) {
    Arguments.rmsNorm(out, x, w);
    rmsNorm.forward(memory(out), memory(x), memory(w), x.rows(), x.columns(), epsilon);
  }

  @Override
  public void addRmsNorm(Tensor out, Tensor x, Tensor change, Tensor w, float epsilon) {
    Arguments.requireSameSize("addRmsNorm", x, change);
    Arguments.rmsNorm(out, x, w);
    rmsNorm.addForward(
        memory(out), memory(x), memory(change), memory(w), x.rows(), x.columns(), epsilon);
  }

  @Override
  public void rmsNormBackward(
      Tensor dx, Tensor dw, Tensor dout, Tensor x, Tensor w, float epsilon) {
    Arguments.rmsNormBackward(dx, dw, dout, x, w);
    rmsNorm.backward(
        memory(dx),
        dw == null ? null : memory(dw),
        memory(dout),
        memory(x),
        memory(w),
        x.rows(),
        x.columns(),
        epsilon);
  }

  @Override
  public void rope(Tensor x, int[] positions, Rope rope, boolean backward) {
    Arguments.rope(x, positions, rope);
    rotations
        .computeIfAbsent(rope, Rotation::new)
        .rotate(memory(x), positions, x.columns() / rope.headDim(), backward, pool);
  }

  @Override
  public void attention(
      Tensor out, Tensor q, Tensor k, Tensor v, Queries queries, int heads, int kvHeads) {
    Arguments.attention("attention", q, k, v, queries, heads, kvHeads);
    Arguments.requireSameRows("attention", q, out);
    new Attention(pool, workspace, tiles, queries, heads, kvHeads, q.columns() / heads)
        .forward(CpuTensor.of(out), CpuTensor.of(q), CpuTensor.of(k), CpuTensor.of(v));
  }

  @Override
  public void attentionBackward(
      Tensor dq,
      Tensor dk,
      Tensor dv,
      Tensor dout,
      Tensor q,
      Tensor k,
      Tensor v,
      Queries queries,
      int heads,
      int kvHeads) {
    Arguments.attention("attentionBackward", q, k, v, queries, heads, kvHeads);
    Arguments.requireSameRows("attentionBackward", q, dout, dq);
    Arguments.requireSameRows("attentionBackward", k, dk, dv);
    new Attention(pool, workspace, tiles, queries, heads, kvHeads, q.columns() / heads)
        .backward(
            CpuTensor.of(dq),
            CpuTensor.of(dk),
            CpuTensor.of(dv),
            CpuTensor.of(dout),
            CpuTensor.of(q),
            CpuTensor.of(k),
            CpuTensor.of(v));
  }

  @Override
  public void swiGlu(Tensor out, Tensor gate, Tensor up) {
    Arguments.requireSameSize("swiGlu", gate, up, out);
    elements.swiGlu(CpuTensor.of(out), CpuTensor.of(gate), CpuTensor.of(up));
  }

  @Override
  public void swiGluBackward(Tensor dgate, Tensor dup, Tensor dout, Tensor gate, Tensor up) {
    Arguments.requireSameSize("swiGluBackward", gate, up, dout, dgate, dup);
    elements.swiGluBackward(
        CpuTensor.of(dgate),
        CpuTensor.of(dup),
        CpuTensor.of(dout),
        CpuTensor.of(gate),
        CpuTensor.of(up));
  }

  @Override
  public void logProbs(
      float[] logProbs,
      float[] entropies,
      Tensor x,
      Tensor head,
      int[] targets,
      float temperature) {
    Arguments.head("logProbs", logProbs, entropies, x, head, targets, temperature);
    new Head(pool, products, workspace, CpuTensor.of(x), CpuTensor.of(head), targets, temperature)
        .forward(logProbs, entropies);
  }

  @Override
  public void logProbsBackward(
      Tensor dx,
      Tensor dhead,
      float[] dLogProbs,
      float[] dEntropies,
      Tensor x,
      Tensor head,
      int[] targets,
      float temperature) {
    Arguments.headBackward(dx, dhead, dLogProbs, dEntropies, x, head, targets, temperature);
    new Head(pool, products, workspace, CpuTensor.of(x), CpuTensor.of(head), targets, temperature)
        .backward(CpuTensor.of(dx), CpuTensor.of(dhead), dLogProbs, dEntropies);
  }

  @Override
  public KvCache kvCache(int layers, int pages, int pageTokens, int kvHeads, int headDim) {
    return new CpuKvCache(layers, pages, pageTokens, kvHeads, headDim);
  }

  @Override
  public void cachedAttention(
      Tensor out,
      Tensor q,
      Tensor k,
      Tensor v,
      KvCache cache,
      int layer,
      CachedSequences sequences,
      int heads) {
    CpuKvCache cpuCache = (CpuKvCache) cache;
    Arguments.cachedAttention(q, k, v, sequences, heads, cpuCache.kvHeads);
    Arguments.requireSameRows("cachedAttention", q, out);
    Arguments.requireCount(
        "cachedAttention",
        "columns of keys",
        k.columns(),
        (long) cpuCache.kvHeads * cpuCache.headDim,
        q,
        k,
        v);
    Arguments.requireLayer(layer, cpuCache.layers());
    sequences.requireFit(cache);
    new CachedAttention(workspace, tiles, cpuCache, layer, sequences, heads)
        .forward(CpuTensor.of(out), CpuTensor.of(q), CpuTensor.of(k), CpuTensor.of(v), pool);
  }

  @Override
  public void sample(int[] tokens, float[] logProbs, Tensor logits, Draws draws) {
    Arguments.sample(tokens, logProbs, logits, draws);
    new Sampler(workspace, CpuTensor.of(logits), draws).draw(tokens, logProbs, pool);
  }

  @Override
  public void adamW(
      Tensor parameters,
      Tensor gradients,
      Tensor firstMoment,
      Tensor secondMoment,
      AdamW settings,
      double weightDecay,
      double learningRate,
      double gradientScale,
      long step) {
    Arguments.adamW(parameters, gradients, firstMoment, secondMoment, step);
    elements.adamW(
        memory(parameters),
        memory(gradients),
        memory(firstMoment),
        memory(secondMoment),
        parameters.size(),
        new AdamWStep(
            (float) gradientScale,
            (float) settings.beta1(),
            (float) (1 - settings.beta1()),
            (float) settings.beta2(),
            (float) (1 - settings.beta2()),
            (float) settings.epsilon(),
            (float) (1 - learningRate * weightDecay),
            (float) (learningRate / (1 - Math.pow(settings.beta1(), step))),
            (float) (1 / Math.sqrt(1 - Math.pow(settings.beta2(), step)))));
  }

  @Override
  public void close() {
    rotations.values().forEach(Rotation::close);
    rotations.clear();
    workspace.close();
    panels.close();
  }

  private static MemorySegment memory(Tensor tensor) {
    return CpuTensor.of(tensor).memory();
  }
}
