package io.millrace.model.tensor.nd4j;

import io.millrace.model.tensor.AdamW;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.KvCache;
import io.millrace.model.tensor.Sequences;
import io.millrace.model.tensor.Tensor;
import java.util.Arrays;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.ops.transforms.Transforms;

/**
 * The readable reference: every kernel in ND4J operations alone, so that it runs on whichever ND4J
 * backend is on the class path.
 */
public final class Nd4jBackend implements Backend {

  /** Logits of as many rows are held at once as fit in this many floats. */
  private static final int LOGITS_AT_ONCE = 1 << 22;

  private RopeTable ropeTable = RopeTable.EMPTY;

  @Override
  public String name() {
    return "nd4j";
  }

  @Override
  public Tensor allocate(int... shape) {
    long size = 1;
    for (int dimension : shape) {
      if (dimension < 1) {
        throw new IllegalArgumentException("cannot allocate shape " + Arrays.toString(shape));
      }
      size *= dimension;
    }
    return Nd4jTensor.owning(Nd4j.zeros(DataType.FLOAT, size), shape);
  }

  @Override
  public void zero(Tensor x) {
    vector(x).assign(0);
  }

  @Override
  public void copy(Tensor target, Tensor source) {
    requireSameSize("copy", target, source);
    vector(target).assign(vector(source));
  }

  @Override
  public void add(Tensor target, Tensor x) {
    requireSameSize("add", target, x);
    vector(target).addi(vector(x));
  }

  @Override
  public double norm(Tensor x) {
    // In double: the squares of a million small gradients lose digits in float.
    try (Scratch scratch = new Scratch()) {
      return scratch.own(vector(x).castTo(DataType.DOUBLE)).norm2Number().doubleValue();
    }
  }

  @Override
  public void linear(Tensor out, Tensor x, Tensor w) {
    require(
        x.columns() == w.columns() && out.rows() == x.rows() && out.columns() == w.rows(),
        "linear",
        out,
        x,
        w);
    // Row-major out = x·wᵀ is column-major outᵀ = w·xᵀ; gemm writes column-major.
    gemm(matrix(w), matrix(x).transpose(), matrix(out), 0);
  }

  @Override
  public void linearBackward(Tensor dx, Tensor dw, Tensor dout, Tensor x, Tensor w) {
    require(
        x.columns() == w.columns() && dout.rows() == x.rows() && dout.columns() == w.rows(),
        "linearBackward",
        dout,
        x,
        w);
    requireSameSize("linearBackward", dx, x);
    requireSameSize("linearBackward", dw, w);
    gemm(matrix(w).transpose(), matrix(dout).transpose(), matrix(dx), 1);
    gemm(matrix(x).transpose(), matrix(dout), matrix(dw), 1);
  }

  /** out = beta·out + (a·b)ᵀ. */
  private static void gemm(INDArray a, INDArray b, INDArray out, double beta) {
    Nd4j.gemm(a, b, out.transpose(), false, false, 1, beta);
  }

  @Override
  public void gatherRows(Tensor out, Tensor x, int[] rows) {
    require(out.columns() == x.columns() && out.rows() == rows.length, "gatherRows", out, x);
    requireIndices("gatherRows", rows, x.rows());
    try (Scratch scratch = new Scratch()) {
      Ops.gather(matrix(out), matrix(x), scratch.ints(rows));
    }
  }

  @Override
  public void gatherRowsBackward(Tensor dx, int[] rows, Tensor dout) {
    require(
        dout.columns() == dx.columns() && dout.rows() == rows.length,
        "gatherRowsBackward",
        dx,
        dout);
    requireIndices("gatherRowsBackward", rows, dx.rows());
    // dx += Sᵀ·dout with S [n, m] one-hot: scatter-add is not deterministic on every ND4J backend.
    try (Scratch scratch = new Scratch()) {
      float[] selection = new float[Math.multiplyExact(rows.length, dx.rows())];
      for (int i = 0; i < rows.length; i++) {
        selection[i * dx.rows() + rows[i]] = 1;
      }
      INDArray s =
          scratch.own(Nd4j.createFromArray(selection)).reshape('c', rows.length, dx.rows());
      gemm(matrix(dout).transpose(), s, matrix(dx), 1);
    }
  }

  @Override
  public void rmsNorm(Tensor out, Tensor x, Tensor w, float epsilon) {
    requireSameSize("rmsNorm", out, x);
    require(w.size() == x.columns(), "rmsNorm", x, w);
    try (Scratch scratch = new Scratch()) {
      INDArray o = matrix(out);
      o.assign(matrix(x));
      o.muliColumnVector(inverseRms(scratch, matrix(x), epsilon)).muliRowVector(vector(w));
    }
  }

  @Override
  public void rmsNormBackward(
      Tensor dx, Tensor dw, Tensor dout, Tensor x, Tensor w, float epsilon) {
    requireSameSize("rmsNormBackward", dx, x);
    requireSameSize("rmsNormBackward", dout, x);
    requireSameSize("rmsNormBackward", dw, w);
    // With r = 1/rms and x̂ = x·r:  dw = Σ_rows dout∘x̂;  dx = r·(g − x̂·mean(g∘x̂)),  g = dout∘w.
    try (Scratch scratch = new Scratch()) {
      INDArray r = inverseRms(scratch, matrix(x), epsilon);
      INDArray normalised = scratch.own(matrix(x).mulColumnVector(r));
      INDArray product = scratch.own(matrix(dout).mul(normalised));
      vector(dw).addi(scratch.own(product.sum(0)));
      INDArray g = scratch.own(matrix(dout).mulRowVector(vector(w)));
      product.muliRowVector(vector(w));
      INDArray mean = scratch.own(product.mean(1));
      g.subi(normalised.muliColumnVector(mean)).muliColumnVector(r);
      matrix(dx).addi(g);
    }
  }

  /** 1 / √(mean(x²) + ε) of every row, [n]. */
  private static INDArray inverseRms(Scratch scratch, INDArray x, float epsilon) {
    INDArray squares = scratch.own(x.mul(x));
    INDArray mean = scratch.own(squares.mean(1)).addi(epsilon);
    return Transforms.sqrt(mean, false).rdivi(1);
  }

  @Override
  public void rope(Tensor x, int[] positions, int headDim, double base, boolean backward) {
    require(
        x.rows() == positions.length && headDim % 2 == 0 && x.columns() % headDim == 0, "rope", x);
    int max = Arrays.stream(positions).max().orElse(0);
    ropeTable = ropeTable.covering(headDim, base, max + 1);
    int heads = x.columns() / headDim;
    try (Scratch scratch = new Scratch()) {
      INDArray indices = scratch.ints(positions);
      long[] perToken = {positions.length, 1, headDim};
      INDArray cos = Ops.gather(scratch, ropeTable.cos(), indices).reshape('c', perToken);
      INDArray sin = Ops.gather(scratch, ropeTable.sin(), indices).reshape('c', perToken);
      // y = x∘cos + (x·R)∘sin, where (x·R) = (−x₂, x₁) for the halves x₁, x₂ of a head.
      INDArray byHead = matrix(x).reshape('c', (long) positions.length * heads, headDim);
      INDArray rotated = scratch.floats(byHead.rows(), headDim);
      gemm(ropeTable.rotation().transpose(), byHead.transpose(), rotated, 0);
      INDArray x3 = matrix(x).reshape('c', positions.length, heads, headDim);
      INDArray rotated3 = rotated.reshape('c', positions.length, heads, headDim);
      rotated3.muli(backward ? sin.negi() : sin);
      x3.muli(cos).addi(rotated3);
    }
  }

  @Override
  public void attention(
      Tensor out, Tensor q, Tensor k, Tensor v, Sequences sequences, int heads, int kvHeads) {
    requireAttention(q, k, v, sequences, heads, kvHeads);
    requireSameSize("attention", out, q);
    try (Scratch scratch = new Scratch()) {
      matrix(out)
          .assign(
              new Nd4jAttention(sequences, heads, kvHeads, q.columns() / heads, scratch)
                  .forward(matrix(q), matrix(k), matrix(v)));
    }
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
      Sequences sequences,
      int heads,
      int kvHeads) {
    requireAttention(q, k, v, sequences, heads, kvHeads);
    requireSameSize("attentionBackward", dout, q);
    requireSameSize("attentionBackward", dq, q);
    requireSameSize("attentionBackward", dk, k);
    requireSameSize("attentionBackward", dv, v);
    try (Scratch scratch = new Scratch()) {
      new Nd4jAttention(sequences, heads, kvHeads, q.columns() / heads, scratch)
          .backward(
              matrix(dq), matrix(dk), matrix(dv), matrix(dout), matrix(q), matrix(k), matrix(v));
    }
  }

  private static void requireAttention(
      Tensor q, Tensor k, Tensor v, Sequences sequences, int heads, int kvHeads) {
    require(
        heads % kvHeads == 0
            && q.columns() % heads == 0
            && k.columns() == q.columns() / heads * kvHeads
            && v.columns() == k.columns()
            && q.rows() == sequences.tokens()
            && k.rows() == q.rows()
            && v.rows() == q.rows(),
        "attention",
        q,
        k,
        v);
  }

  @Override
  public void swiGlu(Tensor out, Tensor gate, Tensor up) {
    requireSameSize("swiGlu", out, gate);
    requireSameSize("swiGlu", up, gate);
    INDArray o = vector(out);
    o.assign(vector(gate));
    Transforms.sigmoid(o, false);
    o.muli(vector(gate)).muli(vector(up));
  }

  @Override
  public void swiGluBackward(Tensor dgate, Tensor dup, Tensor dout, Tensor gate, Tensor up) {
    requireSameSize("swiGluBackward", dout, gate);
    // With s = σ(gate):  dup = dout·gate·s;  dgate = dout·up·s·(1 + gate·(1 − s)).
    try (Scratch scratch = new Scratch()) {
      INDArray s = scratch.own(vector(gate).dup());
      Transforms.sigmoid(s, false);
      INDArray weighted = scratch.own(vector(dout).mul(s));
      vector(dup).addi(scratch.own(weighted.mul(vector(gate))));
      INDArray slope = s.rsubi(1).muli(vector(gate)).addi(1);
      vector(dgate).addi(weighted.muli(vector(up)).muli(slope));
    }
  }

  @Override
  public void logProbs(
      float[] logProbs,
      float[] entropies,
      Tensor x,
      Tensor head,
      int[] targets,
      float temperature) {
    requireHead(x, head, targets, temperature);
    forEachChunk(
        x,
        head,
        (from, count) -> {
          try (Scratch scratch = new Scratch()) {
            INDArray logP = logSoftmax(scratch, rows(x, from, count), head, temperature);
            INDArray hot = oneHot(scratch, targets, from, count, head.rows());
            copyOut(scratch.own(hot.muli(logP).sum(1)), logProbs, from, count);
            INDArray p = scratch.own(Transforms.exp(logP, true));
            copyOut(scratch.own(p.muli(logP).sum(1)).negi(), entropies, from, count);
          }
        });
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
    requireHead(x, head, targets, temperature);
    requireSameSize("logProbsBackward", dx, x);
    requireSameSize("logProbsBackward", dhead, head);
    forEachChunk(
        x,
        head,
        (from, count) -> {
          try (Scratch scratch = new Scratch()) {
            INDArray xs = rows(x, from, count);
            INDArray logP = logSoftmax(scratch, xs, head, temperature);
            INDArray p = scratch.own(Transforms.exp(logP, true));
            INDArray dLogProb = column(scratch, dLogProbs, from, count);
            INDArray dEntropy = column(scratch, dEntropies, from, count);
            // log p_t: dz = (1{t} − p)·dLogProb;  H: dz = −p·(log p + H)·dEntropy.
            INDArray entropy = scratch.own(scratch.own(p.mul(logP)).sum(1)).negi();
            INDArray dz = oneHot(scratch, targets, from, count, head.rows()).subi(p);
            dz.muliColumnVector(dLogProb);
            logP.addiColumnVector(entropy).muli(p).muliColumnVector(dEntropy);
            dz.subi(logP).divi(temperature);
            gemm(matrix(head).transpose(), dz.transpose(), rows(dx, from, count), 1);
            gemm(xs.transpose(), dz, matrix(dhead), 1);
          }
        });
  }

  private static INDArray logSoftmax(Scratch scratch, INDArray x, Tensor head, float temperature) {
    INDArray logits = scratch.floats(x.rows(), head.rows());
    gemm(matrix(head), x.transpose(), logits, 0);
    logits.divi(temperature);
    return Ops.logSoftmax(scratch, logits);
  }

  private static INDArray oneHot(Scratch scratch, int[] targets, int from, int count, int vocab) {
    float[] hot = new float[count * vocab];
    for (int i = 0; i < count; i++) {
      hot[i * vocab + targets[from + i]] = 1;
    }
    return scratch.own(Nd4j.createFromArray(hot)).reshape('c', count, vocab);
  }

  private static INDArray column(Scratch scratch, float[] values, int from, int count) {
    return scratch.own(Nd4j.createFromArray(Arrays.copyOfRange(values, from, from + count)));
  }

  private static void copyOut(INDArray vector, float[] target, int from, int count) {
    System.arraycopy(vector.toFloatVector(), 0, target, from, count);
  }

  private interface Chunk {
    void rows(int from, int count);
  }

  private static void forEachChunk(Tensor x, Tensor head, Chunk chunk) {
    int atOnce = Math.max(1, LOGITS_AT_ONCE / head.rows());
    for (int from = 0; from < x.rows(); from += atOnce) {
      chunk.rows(from, Math.min(atOnce, x.rows() - from));
    }
  }

  @Override
  public KvCache kvCache(int layers, int slots, int capacity, int kvHeads, int headDim) {
    return new Nd4jKvCache(layers, slots, capacity, kvHeads, headDim);
  }

  @Override
  public void cachedAttention(
      Tensor out,
      Tensor q,
      Tensor k,
      Tensor v,
      KvCache cache,
      int layer,
      int[] slots,
      Sequences sequences,
      int[] firstPositions,
      int heads) {
    Nd4jKvCache nd4jCache = (Nd4jKvCache) cache;
    requireAttention(q, k, v, sequences, heads, nd4jCache.kvHeads);
    try (Scratch scratch = new Scratch()) {
      matrix(out)
          .assign(
              new Nd4jCachedAttention(nd4jCache, layer, slots, sequences, firstPositions, scratch)
                  .forward(matrix(q), matrix(k), matrix(v), heads));
    }
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
    double correction1 = 1 - Math.pow(settings.beta1(), step);
    double correction2 = 1 - Math.pow(settings.beta2(), step);
    INDArray theta = vector(parameters);
    INDArray m = vector(firstMoment);
    INDArray v = vector(secondMoment);
    try (Scratch scratch = new Scratch()) {
      INDArray g = scratch.own(vector(gradients).mul(gradientScale));
      m.muli(settings.beta1()).addi(scratch.own(g.mul(1 - settings.beta1())));
      v.muli(settings.beta2()).addi(g.muli(g).muli(1 - settings.beta2()));
      // g now serves as the denominator √(v / correction2) + ε.
      g.assign(v).divi(correction2);
      Transforms.sqrt(g, false).addi(settings.epsilon());
      INDArray update = scratch.own(m.div(g)).muli(learningRate / correction1);
      theta.muli(1 - learningRate * weightDecay).subi(update);
    }
  }

  @Override
  public void close() {
    ropeTable.close();
    ropeTable = RopeTable.EMPTY;
  }

  private static INDArray vector(Tensor tensor) {
    return ((Nd4jTensor) tensor).vector();
  }

  private static INDArray matrix(Tensor tensor) {
    return ((Nd4jTensor) tensor).matrix();
  }

  private static INDArray rows(Tensor x, int from, int count) {
    return count == x.rows()
        ? matrix(x)
        : matrix(x.slice((long) from * x.columns(), count, x.columns()));
  }

  private static void requireHead(Tensor x, Tensor head, int[] targets, float temperature) {
    require(
        x.columns() == head.columns() && x.rows() == targets.length && temperature > 0,
        "logProbs",
        x,
        head);
    requireIndices("logProbs", targets, head.rows());
  }

  private static void requireIndices(String kernel, int[] indices, int bound) {
    for (int i = 0; i < indices.length; i++) {
      if (indices[i] < 0 || indices[i] >= bound) {
        throw new IllegalArgumentException(
            "%s: index %d at %d is not in [0, %d)".formatted(kernel, indices[i], i, bound));
      }
    }
  }

  private static void requireSameSize(String kernel, Tensor a, Tensor b) {
    require(a.size() == b.size(), kernel, a, b);
  }

  private static void require(boolean fits, String kernel, Tensor... tensors) {
    if (!fits) {
      throw new IllegalArgumentException(
          kernel + ": shapes do not fit: " + Arrays.toString(tensors));
    }
  }
}
