package io.millrace.model.nd4j;

import io.millrace.model.tensor.AdamW;
import io.millrace.model.tensor.Arguments;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.CachedSequences;
import io.millrace.model.tensor.Draws;
import io.millrace.model.tensor.KvCache;
import io.millrace.model.tensor.Queries;
import io.millrace.model.tensor.Rope;
import io.millrace.model.tensor.Tensor;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.ops.transforms.Transforms;

/**
 * The backend {@code nd4j}: every kernel in ND4J operations, on the ND4J backend of the class path.
 * That is {@code nd4j-native} on CPUs, or {@code nd4j-cuda} on Ampere and Ada GPUs. The backend
 * {@code cpu} is faster on CPUs.
 *
 * <p>{@link #linearByRow} depends on the other rows up to rounding.
 */
public final class Nd4jBackend implements Backend {

  private final Map<Rope, RopeTable> ropeTables = new HashMap<>();

  @Override
  public String name() {
    return "nd4j";
  }

  @Override
  public Tensor allocate(int... shape) {
    long size = Arguments.requireShape(shape);
    return Nd4jTensor.owning(Nd4j.zeros(DataType.FLOAT, size), shape);
  }

  @Override
  public void zero(Tensor x) {
    vector(x).assign(0);
  }

  @Override
  public void copy(Tensor target, Tensor source) {
    Arguments.requireSameSize("copy", target, source);
    vector(target).assign(vector(source));
  }

  @Override
  public void add(Tensor target, Tensor x) {
    Arguments.requireSameSize("add", target, x);
    vector(target).addi(vector(x));
  }

  @Override
  public void scale(Tensor x, double factor) {
    vector(x).muli((float) factor);
  }

  @Override
  public double norm(Tensor x) {
    // Float64, because in float32 the sum of a million small squares loses digits.
    try (Scratch scratch = new Scratch()) {
      return scratch.own(vector(x).castTo(DataType.DOUBLE)).norm2Number().doubleValue();
    }
  }

  @Override
  public void linear(Tensor out, Tensor x, Tensor w) {
    Arguments.linear("linear", out, x, w);
    Ops.matmul(matrix(out), matrix(x), false, matrix(w), true, 1, 0);
  }

  @Override
  public void linearByRow(Tensor out, Tensor x, Tensor w) {
    // BLAS sums a row in an order that depends on the other rows, so rows are independent only up
    // to rounding.
    linear(out, x, w);
  }

  @Override
  public void linearBackward(Tensor dx, Tensor dw, Tensor dout, Tensor x, Tensor w) {
    Arguments.linearBackward(dx, dw, dout, x, w);
    Ops.matmul(matrix(dx), matrix(dout), false, matrix(w), false, 1, 1);
    if (dw != null) {
      Ops.matmul(matrix(dw), matrix(dout), true, matrix(x), false, 1, 1);
    }
  }

  @Override
  public void gatherRows(Tensor out, Tensor x, int[] rows) {
    Arguments.gatherRows(out, x, rows);
    try (Scratch scratch = new Scratch()) {
      Ops.gather(matrix(out), matrix(x), scratch.ints(rows));
    }
  }

  @Override
  public void gatherRowsBackward(Tensor dx, int[] rows, Tensor dout) {
    Arguments.gatherRowsBackward(dx, rows, dout);
    try (Scratch scratch = new Scratch()) {
      Ops.scatterAdd(matrix(dx), scratch.ints(rows), matrix(dout));
    }
  }

  @Override
  public void rmsNorm(Tensor out, Tensor x, Tensor w, float epsilon) {
    Arguments.rmsNorm(out, x, w);
    try (Scratch scratch = new Scratch()) {
      Ops.multiply(matrix(out), matrix(x), inverseRms(scratch, matrix(x), epsilon));
      Ops.multiply(matrix(out), matrix(out), row(w));
    }
  }

  @Override
  public void rmsNormBackward(
      Tensor dx, Tensor dw, Tensor dout, Tensor x, Tensor w, float epsilon) {
    Arguments.rmsNormBackward(dx, dw, dout, x, w);
    // With r = 1/rms, x̂ = x · r and g = dout ∘ w: dw += Σ_rows dout ∘ x̂; dx += r · (g − x̂ ·
    // mean(g ∘ x̂)).
    try (Scratch scratch = new Scratch()) {
      INDArray r = inverseRms(scratch, matrix(x), epsilon);
      INDArray normalised = scratch.floats(x.rows(), x.columns());
      Ops.multiply(normalised, matrix(x), r);
      INDArray product = scratch.own(matrix(dout).mul(normalised));
      if (dw != null) {
        vector(dw).addi(scratch.own(product.sum(0)));
      }
      Ops.multiply(product, product, row(w));
      Ops.multiply(normalised, normalised, scratch.own(product.mean(true, 1)));
      INDArray change = product;
      Ops.multiply(change, matrix(dout), row(w));
      Ops.multiply(change, change.subi(normalised), r);
      matrix(dx).addi(change);
    }
  }

  /** r = 1 / √(mean(x²) + ε) of every row, {@code [n, 1]}. */
  private static INDArray inverseRms(Scratch scratch, INDArray x, float epsilon) {
    INDArray norm = scratch.own(x.norm2(true, 1));
    INDArray mean = norm.muli(norm).muli(1.0 / x.columns()).addi(epsilon);
    return Transforms.sqrt(mean, false).rdivi(1);
  }

  @Override
  public void rope(Tensor x, int[] positions, Rope rope, boolean backward) {
    Arguments.rope(x, positions, rope);
    int headDim = rope.headDim();
    int max = Arrays.stream(positions).max().orElse(0);
    RopeTable table =
        ropeTables.compute(rope, (key, known) -> RopeTable.covering(known, key, max + 1));
    int heads = x.columns() / headDim;
    try (Scratch scratch = new Scratch()) {
      INDArray indices = scratch.ints(positions);
      long[] perToken = {positions.length, 1, headDim};
      INDArray cos = Ops.gather(scratch, table.cos(), indices).reshape('c', perToken);
      INDArray sin = Ops.gather(scratch, table.sin(), indices).reshape('c', perToken);
      // y = x ∘ cos + (x · R) ∘ sin, where x · R = (−x₂, x₁) for the halves x₁, x₂ of a head.
      INDArray byHead = matrix(x).reshape('c', (long) positions.length * heads, headDim);
      INDArray rotated = scratch.floats(byHead.rows(), headDim);
      Ops.matmul(rotated, byHead, false, table.rotation(), false, 1, 0);
      INDArray x3 = matrix(x).reshape('c', positions.length, heads, headDim);
      INDArray rotated3 = rotated.reshape('c', positions.length, heads, headDim);
      rotated3.muli(backward ? sin.negi() : sin);
      x3.muli(cos).addi(rotated3);
    }
  }

  @Override
  public void attention(
      Tensor out, Tensor q, Tensor k, Tensor v, Queries queries, int heads, int kvHeads) {
    Arguments.attention("attention", q, k, v, queries, heads, kvHeads);
    Arguments.requireSameRows("attention", q, out);
    try (Scratch scratch = new Scratch()) {
      new Nd4jAttention(queries, heads, kvHeads, q.columns() / heads, scratch)
          .forward(matrix(out), matrix(q), matrix(k), matrix(v));
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
      Queries queries,
      int heads,
      int kvHeads) {
    Arguments.attention("attentionBackward", q, k, v, queries, heads, kvHeads);
    Arguments.requireSameRows("attentionBackward", q, dout, dq);
    Arguments.requireSameRows("attentionBackward", k, dk, dv);
    try (Scratch scratch = new Scratch()) {
      new Nd4jAttention(queries, heads, kvHeads, q.columns() / heads, scratch)
          .backward(
              matrix(dq), matrix(dk), matrix(dv), matrix(dout), matrix(q), matrix(k), matrix(v));
    }
  }

  @Override
  public void swiGlu(Tensor out, Tensor gate, Tensor up) {
    Arguments.requireSameSize("swiGlu", gate, up, out);
    INDArray o = vector(out);
    o.assign(vector(gate));
    Transforms.sigmoid(o, false);
    o.muli(vector(gate)).muli(vector(up));
  }

  @Override
  public void swiGluBackward(Tensor dgate, Tensor dup, Tensor dout, Tensor gate, Tensor up) {
    Arguments.requireSameSize("swiGluBackward", gate, up, dout, dgate, dup);
    // With s = σ(gate): dup = dout ∘ gate ∘ s; dgate = dout ∘ up ∘ s ∘ (1 + gate ∘ (1 − s)).
    try (Scratch scratch = new Scratch()) {
      INDArray s = scratch.own(vector(gate).dup());
      Transforms.sigmoid(s, false);
      INDArray weighted = scratch.own(vector(dout).mul(s));
      INDArray slope = scratch.own(s.rsub(1)).muli(vector(gate)).addi(1).muli(weighted);
      slope.muli(vector(up));
      vector(dup).assign(weighted.muli(vector(gate)));
      vector(dgate).assign(slope);
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
    Arguments.head("logProbs", logProbs, entropies, x, head, targets, temperature);
    new Nd4jHead(matrix(x), matrix(head), targets, temperature).forward(logProbs, entropies);
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
    new Nd4jHead(matrix(x), matrix(head), targets, temperature)
        .backward(matrix(dx), dhead == null ? null : matrix(dhead), dLogProbs, dEntropies);
  }

  @Override
  public KvCache kvCache(int layers, int pages, int pageTokens, int kvHeads, int headDim) {
    return new Nd4jKvCache(layers, pages, pageTokens, kvHeads, headDim);
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
    Nd4jKvCache nd4jCache = (Nd4jKvCache) cache;
    Arguments.cachedAttention(q, k, v, sequences, heads, nd4jCache.kvHeads);
    Arguments.requireSameRows("cachedAttention", q, out);
    Arguments.requireCount(
        "cachedAttention", "columns of keys", k.columns(), nd4jCache.columns(), q, k, v);
    try (Scratch scratch = new Scratch()) {
      new Nd4jCachedAttention(nd4jCache, layer, sequences, scratch)
          .forward(matrix(out), matrix(q), matrix(k), matrix(v), heads);
    }
  }

  @Override
  public void sample(int[] tokens, float[] logProbs, Tensor logits, Draws draws) {
    Arguments.sample(tokens, logProbs, logits, draws);
    Nd4jSampling sampling = new Nd4jSampling(draws, logits.columns());
    float[] row = new float[logits.columns()];
    for (int i = 0; i < tokens.length; i++) {
      logits.read((long) i * row.length, row, 0, row.length);
      tokens[i] = sampling.draw(i, row);
      logProbs[i] = (float) sampling.logProb();
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
    Arguments.adamW(parameters, gradients, firstMoment, secondMoment, step);
    double correction1 = 1 - Math.pow(settings.beta1(), step);
    double correction2 = 1 - Math.pow(settings.beta2(), step);
    INDArray theta = vector(parameters);
    INDArray m = vector(firstMoment);
    INDArray v = vector(secondMoment);
    try (Scratch scratch = new Scratch()) {
      INDArray g = scratch.own(vector(gradients).mul(gradientScale));
      m.muli(settings.beta1()).addi(scratch.own(g.mul(1 - settings.beta1())));
      v.muli(settings.beta2()).addi(g.muli(g).muli(1 - settings.beta2()));
      // g now holds the denominator √(v / correction2) + ε.
      g.assign(v).muli(1 / correction2);
      Transforms.sqrt(g, false).addi(settings.epsilon());
      INDArray update = scratch.own(m.div(g)).muli(learningRate / correction1);
      theta.muli(1 - learningRate * weightDecay).subi(update);
    }
  }

  @Override
  public void close() {
    ropeTables.values().forEach(RopeTable::close);
    ropeTables.clear();
  }

  private static INDArray vector(Tensor tensor) {
    return ((Nd4jTensor) tensor).vector();
  }

  private static INDArray matrix(Tensor tensor) {
    return ((Nd4jTensor) tensor).matrix();
  }

  /** A vector as {@code [1, columns]}. */
  private static INDArray row(Tensor tensor) {
    return vector(tensor).reshape('c', 1, tensor.size());
  }
}
