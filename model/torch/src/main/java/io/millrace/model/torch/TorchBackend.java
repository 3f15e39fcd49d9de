package io.millrace.model.torch;

import io.millrace.model.tensor.AdamW;
import io.millrace.model.tensor.Arguments;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.CachedSequences;
import io.millrace.model.tensor.Draws;
import io.millrace.model.tensor.KvCache;
import io.millrace.model.tensor.Precision;
import io.millrace.model.tensor.Queries;
import io.millrace.model.tensor.Rope;
import io.millrace.model.tensor.Tensor;
import io.millrace.model.torch.PackedAttention.Heads;
import io.millrace.model.torch.library.Block;
import io.millrace.model.torch.library.Constants;
import io.millrace.model.torch.library.Lane;
import io.millrace.model.torch.library.Libtorch;
import io.millrace.model.torch.library.Operator;
import io.millrace.model.torch.library.Rows;
import io.millrace.model.torch.library.TorchDevice;
import io.millrace.model.torch.library.TorchMemory;
import io.millrace.model.torch.library.TorchTensor;
import io.millrace.model.torch.library.Views;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * The backend {@code torch}: every kernel in operators of libtorch, on a CPU or an NVIDIA GPU, in
 * float32 or in mixed precision with bfloat16. Tensors stay on the device. There is no autograd.
 *
 * <p>{@link #linearByRow} depends on the other rows up to rounding.
 */
final class TorchBackend implements Backend {

  private final TorchDevice device;
  private final Precision precision;
  private final ScalarType activationType;
  private final TorchMemory memory;
  private final Views views = new Views();
  private final Threads threads;
  private final Lane[] lanes;
  private final boolean flashByLengths;
  private final GroupKernel groupKernel;

  TorchBackend(String device, Precision precision, int threads) {
    this(device, precision, threads, device.equals("cpu"));
  }

  /** As {@link TorchBackend}, with or without the CPU's flash attention. */
  TorchBackend(String device, Precision precision, int threads, boolean flashOnCpu) {
    Libtorch.load();
    Operator.requireSchemas();
    this.device = new TorchDevice(device);
    this.precision = precision;
    this.activationType = precision == Precision.BFLOAT16 ? ScalarType.BFloat16 : ScalarType.Float;
    this.memory = new TorchMemory(this.device);
    this.threads = new Threads(this.device, threads);
    this.lanes = new Lane[] {new Lane(memory), new Lane(memory)};
    this.groupKernel = flashOnCpu ? new FlashKernel() : new MathKernel(this.device);
    this.flashByLengths =
        precision == Precision.BFLOAT16 && VarlenAttention.works(this.device, lanes[0]);
  }

  @Override
  public String name() {
    return "torch";
  }

  @Override
  public String kernels() {
    return "libtorch %s on %s, %s%s"
        .formatted(
            Libtorch.version(),
            device.isCpu() ? "cpu with " + Libtorch.cpuCapability() : device.name(),
            precision,
            flashByLengths ? ", flash attention by cumulative lengths" : "");
  }

  @Override
  public int threads() {
    return threads.count();
  }

  @Override
  public long bytes() {
    return TorchMemory.usedBytes();
  }

  @Override
  public long peakBytes() {
    return TorchMemory.peakBytes();
  }

  @Override
  public long bytesToDevice() {
    return TorchDevice.bytesTo();
  }

  @Override
  public long bytesFromDevice() {
    return TorchDevice.bytesFrom();
  }

  @Override
  public void sideBySide(Runnable longer, Runnable other) {
    threads.sideBySide(longer, other);
  }

  @Override
  public Tensor allocate(int... shape) {
    return allocate(TorchMemory.Use.STATE, ScalarType.Float, shape);
  }

  @Override
  public Tensor allocateActivation(int... shape) {
    return allocate(TorchMemory.Use.ACTIVATIONS, activationType, shape);
  }

  private Tensor allocate(TorchMemory.Use use, ScalarType type, int... shape) {
    long size = Arguments.requireShape(shape);
    return new TorchTensor(new Block(memory, use, type, size), views, 0, shape, true);
  }

  private interface Kernel {
    void run(Lane lane);
  }

  /** Runs a kernel: frees its temporaries afterwards, and explains errors of libtorch. */
  private void run(String name, Kernel kernel) {
    if (threads.areIdle()) {
      views.trim();
    }
    try (PointerScope _ = new PointerScope()) {
      kernel.run(lanes[threads.lane()]);
    } catch (RuntimeException e) {
      throw memory.explained("the kernel " + name, e);
    }
  }

  /** The tensor of this backend; null for null. */
  private static TorchTensor of(Tensor tensor) {
    return (TorchTensor) tensor;
  }

  @Override
  public void zero(Tensor x) {
    run("zero", _ -> of(x).writtenVector().zero_());
  }

  @Override
  public void copy(Tensor target, Tensor source) {
    Arguments.requireSameSize("copy", target, source);
    run("copy", _ -> of(target).writtenVector().copy_(of(source).vector()));
  }

  @Override
  public void add(Tensor target, Tensor x) {
    Arguments.requireSameSize("add", target, x);
    run("add", _ -> of(target).writtenVector().add_(of(x).vector(), Constants.ONE));
  }

  @Override
  public void scale(Tensor x, double factor) {
    run("scale", _ -> of(x).writtenVector().mul_(new Scalar(factor)));
  }

  /**
   * Matrices have the type of activations, so that each precision has frozen tensors of its own.
   */
  @Override
  public String frozenGroup() {
    return "torch on %s in %s".formatted(device.name(), precision);
  }

  @Override
  public void freeze(Tensor x) {
    of(x).freeze();
  }

  @Override
  public void thaw(Tensor x) {
    of(x).block().thaw();
  }

  @Override
  public double norm(Tensor x) {
    double[] norm = new double[1];
    run(
        "norm",
        _ ->
            norm[0] =
                device.item(
                    torch.linalg_vector_norm(
                        of(x).vector(), Constants.TWO, new long[] {0}, false, Constants.DOUBLE)));
    return norm[0];
  }

  @Override
  public void gatherRows(Tensor out, Tensor x, int[] rows) {
    Arguments.gatherRows(out, x, rows);
    run(
        "gatherRows",
        lane -> {
          org.bytedeco.pytorch.Tensor index = lane.longs(rows);
          if (of(out).type() == of(x).type()) {
            Rows.into(of(out).writtenMatrix(), of(x).matrix(), index);
          } else {
            of(out).writtenMatrix().copy_(Rows.of(of(x).matrix(), index));
          }
        });
  }

  @Override
  public void gatherRowsBackward(Tensor dx, int[] rows, Tensor dout) {
    Arguments.gatherRowsBackward(dx, rows, dout);
    run(
        "gatherRowsBackward",
        lane ->
            of(dx)
                .writtenMatrix()
                .index_add_(
                    0, lane.longs(rows), of(dout).matrix().to(of(dx).type()), Constants.ONE));
  }

  @Override
  public void linear(Tensor out, Tensor x, Tensor w) {
    Arguments.linear("linear", out, x, w);
    run("linear", lane -> Products.linear(lane, of(out), of(x), of(w)));
  }

  @Override
  public void linearByRow(Tensor out, Tensor x, Tensor w) {
    // BLAS sums a row in an order that depends on the other rows, so rows are independent only up
    // to rounding.
    Arguments.linear("linearByRow", out, x, w);
    run("linearByRow", lane -> Products.linear(lane, of(out), of(x), of(w)));
  }

  @Override
  public void linearBackward(Tensor dx, Tensor dw, Tensor dout, Tensor x, Tensor w) {
    Arguments.linearBackward(dx, dw, dout, x, w);
    run(
        "linearBackward",
        lane -> Products.linearBackward(lane, of(dx), of(dw), of(dout), of(x), of(w)));
  }

  @Override
  public void rmsNorm(Tensor out, Tensor x, Tensor w, float epsilon) {
    Arguments.rmsNorm(out, x, w);
    run(
        "rmsNorm",
        lane ->
            RowKernels.rmsNorm(
                lane, of(out).writtenMatrix(), of(x).matrix(), of(w).vector(), epsilon));
  }

  @Override
  public void rmsNormBackward(
      Tensor dx, Tensor dw, Tensor dout, Tensor x, Tensor w, float epsilon) {
    Arguments.rmsNormBackward(dx, dw, dout, x, w);
    run(
        "rmsNormBackward",
        lane ->
            RowKernels.rmsNormBackward(
                lane,
                of(dx).writtenMatrix(),
                dw == null ? null : of(dw).writtenVector(),
                of(dout).matrix(),
                of(x).matrix(),
                of(w).vector(),
                epsilon));
  }

  @Override
  public void rope(Tensor x, int[] positions, Rope rope, boolean backward) {
    Arguments.rope(x, positions, rope);
    run("rope", lane -> RowKernels.rope(lane, of(x), positions, rope, backward));
  }

  @Override
  public void attention(
      Tensor out, Tensor q, Tensor k, Tensor v, Queries queries, int heads, int kvHeads) {
    Arguments.attention("attention", q, k, v, queries, heads, kvHeads);
    Arguments.requireSameRows("attention", q, out);
    run(
        "attention",
        lane ->
            attention(lane, queries, of(q))
                .forward(
                    of(out), of(q), of(k), of(v), new Heads(heads, kvHeads, q.columns() / heads)));
  }

  private PackedAttention attention(Lane lane, Queries queries, TorchTensor q) {
    return flashByLengths && q.type() == ScalarType.BFloat16 && VarlenAttention.fits(queries)
        ? new VarlenAttention(lane, queries)
        : new GroupedAttention(lane, groupKernel, queries);
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
    run(
        "attentionBackward",
        lane ->
            attention(lane, queries, of(q))
                .backward(
                    of(dq),
                    of(dk),
                    of(dv),
                    of(dout),
                    of(q),
                    of(k),
                    of(v),
                    new Heads(heads, kvHeads, q.columns() / heads)));
  }

  @Override
  public void swiGlu(Tensor out, Tensor gate, Tensor up) {
    Arguments.requireSameSize("swiGlu", gate, up, out);
    run(
        "swiGlu",
        _ -> RowKernels.swiGlu(of(out).writtenMatrix(), of(gate).matrix(), of(up).matrix()));
  }

  @Override
  public void swiGluBackward(Tensor dgate, Tensor dup, Tensor dout, Tensor gate, Tensor up) {
    Arguments.requireSameSize("swiGluBackward", gate, up, dout, dgate, dup);
    run(
        "swiGluBackward",
        lane ->
            RowKernels.swiGluBackward(
                lane,
                of(dgate).writtenMatrix(),
                of(dup).writtenMatrix(),
                of(dout).matrix(),
                of(gate).matrix(),
                of(up).matrix()));
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
    run(
        "logProbs",
        lane ->
            new TorchHead(lane, of(x), of(head), targets, temperature)
                .forward(logProbs, entropies));
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
    run(
        "logProbsBackward",
        lane ->
            new TorchHead(lane, of(x), of(head), targets, temperature)
                .backward(of(dx), of(dhead), dLogProbs, dEntropies));
  }

  @Override
  public KvCache kvCache(int layers, int pages, int pageTokens, int kvHeads, int headDim) {
    return new TorchKvCache(memory, activationType, layers, pages, pageTokens, kvHeads, headDim);
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
    TorchKvCache torchCache = (TorchKvCache) cache;
    Arguments.cachedAttention(q, k, v, sequences, heads, torchCache.kvHeads());
    Arguments.requireSameRows("cachedAttention", q, out);
    Arguments.requireCount(
        "cachedAttention", "columns of keys", k.columns(), torchCache.columns(), q, k, v);
    run(
        "cachedAttention",
        lane ->
            new CachedAttention(lane, torchCache, layer, sequences, heads)
                .forward(of(out), of(q), of(k), of(v), flashByLengths));
  }

  @Override
  public void sample(int[] tokens, float[] logProbs, Tensor logits, Draws draws) {
    Arguments.sample(tokens, logProbs, logits, draws);
    run(
        "sample",
        _ -> new TorchSampling(device).draw(tokens, logProbs, of(logits).matrix(), draws));
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
    run(
        "adamW",
        lane ->
            new FusedAdamW(lane)
                .update(
                    of(parameters),
                    of(gradients),
                    of(firstMoment),
                    of(secondMoment),
                    settings,
                    weightDecay,
                    learningRate,
                    gradientScale,
                    step));
  }

  @Override
  public void close() {
    for (Lane lane : lanes) {
      lane.close();
    }
    threads.close();
    device.close();
  }
}
