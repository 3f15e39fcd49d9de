package io.millrace.tests.benchmark;

import io.millrace.model.tensor.AdamW;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Backends;
import io.millrace.model.tensor.Queries;
import io.millrace.model.tensor.Rope;
import io.millrace.model.tensor.RopeScaling;
import io.millrace.model.tensor.Sequences;
import io.millrace.model.tensor.Tensor;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * Each kernel of a training step by itself, at the shapes of two models; {@code
 * docs/performance.md} says how to run it.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
public class KernelBenchmark {

  private static final long SEED = 7;
  private static final int VOCABULARY = 512;
  private static final float EPSILON = 1e-5f;

  /** The sizes of a case. */
  public enum Shape {
    SMALL(64, 4, 2, 192, 16, 64),
    MEDIUM(256, 8, 4, 704, 16, 128);

    private final int hidden;
    private final int heads;
    private final int kvHeads;
    private final int ffn;
    private final int batch;
    private final int length;

    Shape(int hidden, int heads, int kvHeads, int ffn, int batch, int length) {
      this.hidden = hidden;
      this.heads = heads;
      this.kvHeads = kvHeads;
      this.ffn = ffn;
      this.batch = batch;
      this.length = length;
    }
  }

  @Param({"cpu", "nd4j"})
  private String kind;

  @Param private Shape shape;

  private final Random random = new Random(SEED);
  private Backend backend;
  private Queries queries;
  private int[] targets;
  private float[] perTarget;
  private float[] entropies;
  private Rope rope;
  private int step;

  private Tensor x;
  private Tensor dx;
  private Tensor wide;
  private Tensor dwide;
  private Tensor up;
  private Tensor gated;
  private Tensor norm;
  private Tensor dnorm;
  private Tensor weights;
  private Tensor dweights;
  private Tensor first;
  private Tensor second;
  private Tensor head;
  private Tensor dhead;
  private Tensor selected;
  private Tensor dselected;
  private Tensor keys;
  private Tensor values;
  private Tensor dkeys;
  private Tensor dvalues;
  private Tensor out;

  /** Tensors of random numbers, small enough that repeated additions stay finite. */
  @Setup(Level.Trial)
  public void allocate() {
    int tokens = shape.batch * shape.length;
    int kvColumns = shape.hidden / shape.heads * shape.kvHeads;
    backend = Backends.named(kind).open();
    queries = Queries.all(Sequences.of(Collections.nCopies(shape.batch, new int[shape.length])));
    targets = random.ints(tokens / 2, 0, VOCABULARY).toArray();
    perTarget = new float[targets.length];
    entropies = new float[targets.length];
    Arrays.fill(perTarget, 1e-6f);
    rope = new Rope(shape.hidden / shape.heads, 10_000, RopeScaling.NONE);
    x = filled(tokens, shape.hidden);
    dx = filled(tokens, shape.hidden);
    out = filled(tokens, shape.hidden);
    wide = filled(tokens, shape.ffn);
    dwide = filled(tokens, shape.ffn);
    up = filled(tokens, shape.ffn);
    gated = filled(tokens, shape.ffn);
    norm = filled(shape.hidden);
    dnorm = filled(shape.hidden);
    weights = filled(shape.ffn, shape.hidden);
    dweights = filled(shape.ffn, shape.hidden);
    first = filled(shape.ffn, shape.hidden);
    second = backend.allocate(shape.ffn, shape.hidden);
    head = filled(VOCABULARY, shape.hidden);
    dhead = filled(VOCABULARY, shape.hidden);
    selected = filled(targets.length, shape.hidden);
    dselected = filled(targets.length, shape.hidden);
    keys = filled(tokens, kvColumns);
    values = filled(tokens, kvColumns);
    dkeys = filled(tokens, kvColumns);
    dvalues = filled(tokens, kvColumns);
  }

  private Tensor filled(int... dimensions) {
    Tensor tensor = backend.allocate(dimensions);
    float[] numbers = new float[Math.toIntExact(tensor.size())];
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = (float) (1e-3 * random.nextGaussian());
    }
    tensor.write(numbers);
    return tensor;
  }

  /** Gives all memory back. */
  @TearDown(Level.Trial)
  public void close() {
    List.of(
            x, dx, out, wide, dwide, up, gated, norm, dnorm, weights, dweights, first, second, head,
            dhead, selected, dselected, keys, values, dkeys, dvalues)
        .forEach(Tensor::close);
    backend.close();
  }

  @Benchmark
  public void linear() {
    backend.linear(wide, x, weights);
  }

  @Benchmark
  public void linearBackward() {
    backend.linearBackward(dx, dweights, dwide, x, weights);
  }

  @Benchmark
  public void attention() {
    backend.attention(out, x, keys, values, queries, shape.heads, shape.kvHeads);
  }

  @Benchmark
  public void attentionBackward() {
    backend.attentionBackward(
        dx, dkeys, dvalues, out, x, keys, values, queries, shape.heads, shape.kvHeads);
  }

  @Benchmark
  public void rope() {
    backend.rope(x, queries.positions(), rope, false);
  }

  @Benchmark
  public void rmsNorm() {
    backend.rmsNorm(out, x, norm, EPSILON);
  }

  @Benchmark
  public void rmsNormBackward() {
    backend.rmsNormBackward(dx, dnorm, out, x, norm, EPSILON);
  }

  @Benchmark
  public void swiGlu() {
    backend.swiGlu(gated, wide, up);
  }

  @Benchmark
  public void swiGluBackward() {
    backend.swiGluBackward(dwide, up, gated, wide, up);
  }

  @Benchmark
  public float[] logProbs() {
    backend.logProbs(perTarget, entropies, selected, head, targets, 1);
    return perTarget;
  }

  @Benchmark
  public void logProbsBackward() {
    backend.logProbsBackward(dselected, dhead, perTarget, entropies, selected, head, targets, 1);
  }

  @Benchmark
  public void adamW() {
    backend.adamW(weights, dweights, first, second, AdamW.llama2(), 0.1, 1e-6, 1, ++step);
  }
}
