package io.millrace.model.contract;

import io.millrace.model.tensor.AdamW;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.CachedSequences;
import io.millrace.model.tensor.Draws;
import io.millrace.model.tensor.KvCache;
import io.millrace.model.tensor.Queries;
import io.millrace.model.tensor.Rope;
import io.millrace.model.tensor.Sequences;
import io.millrace.model.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;

/** The tensors of a small model, and one call of each kernel on them. */
final class Workload implements AutoCloseable {

  static final int KERNELS = 21;
  static final int HEADS = 4;
  static final int KV_HEADS = 2;
  static final int HEAD_DIM = 10;
  static final int H = HEADS * HEAD_DIM;
  static final int VOCAB = 101;

  private static final int PAGE_TOKENS = 6;

  private final Backend backend;
  private final Sequences sequences;
  private final int[] targets;
  private final CachedSequences cached;
  private final List<Tensor> all = new ArrayList<>();
  private final float[] logProbs;
  private final float[] entropies;
  private final Draws draws;
  private final int[] tokens;
  private final float[] drawnLogProbs;
  private double norm;

  private final Tensor x;
  private final Tensor y;
  private final Tensor dx;
  private final Tensor out;
  private final Tensor k;
  private final Tensor v;
  private final Tensor dk;
  private final Tensor dv;
  private final Tensor w;
  private final Tensor dw;
  private final Tensor scale;
  private final Tensor dscale;
  private final Tensor head;
  private final Tensor dhead;
  private final Tensor firstMoment;
  private final Tensor secondMoment;
  private final KvCache cache;

  Workload(Backend backend, Sequences sequences) {
    this.backend = backend;
    this.sequences = sequences;
    int n = sequences.tokens();
    this.targets = new int[n];
    Arrays.setAll(targets, i -> (i * 37) % VOCAB);
    int pages = (sequences.maxLength() + PAGE_TOKENS - 1) / PAGE_TOKENS;
    int[][] table = new int[sequences.count()][pages];
    for (int i = 0; i < table.length; i++) {
      int first = i * pages;
      Arrays.setAll(table[i], page -> first + page);
    }
    this.cached = new CachedSequences(sequences, new int[sequences.count()], table);
    this.logProbs = new float[n];
    this.entropies = new float[n];
    this.tokens = new int[n];
    this.drawnLogProbs = new float[n];
    float[] temperatures = new float[n];
    float[] topPs = new float[n];
    Arrays.fill(temperatures, 0.7f);
    Arrays.fill(topPs, 0.8f);
    double[] uniforms = new Random(n).doubles(n).toArray();
    this.draws = new Draws(temperatures, topPs, uniforms);
    this.x = activation(n, H);
    this.y = activation(n, H);
    this.dx = activation(n, H);
    this.out = activation(n, H);
    this.k = activation(n, KV_HEADS * HEAD_DIM);
    this.v = activation(n, KV_HEADS * HEAD_DIM);
    this.dk = activation(n, KV_HEADS * HEAD_DIM);
    this.dv = activation(n, KV_HEADS * HEAD_DIM);
    this.w = random(H, H);
    this.dw = random(H, H);
    this.scale = random(H);
    this.dscale = random(H);
    this.head = random(VOCAB, H);
    this.dhead = random(VOCAB, H);
    this.firstMoment = random(VOCAB, H);
    this.secondMoment = random(VOCAB, H);
    backend.zero(secondMoment);
    this.cache = backend.kvCache(1, pages * table.length, PAGE_TOKENS, KV_HEADS, HEAD_DIM);
  }

  private Tensor random(int... shape) {
    return filled(backend.allocate(shape));
  }

  private Tensor activation(int... shape) {
    return filled(backend.allocateActivation(shape));
  }

  private Tensor filled(Tensor tensor) {
    float[] values = new float[Math.toIntExact(tensor.size())];
    Random random = new Random(all.size());
    for (int i = 0; i < values.length; i++) {
      values[i] = random.nextFloat() - 0.5f;
    }
    tensor.write(values);
    all.add(tensor);
    return tensor;
  }

  /** Calls each kernel once. The values stay bounded over many calls. */
  void run() {
    int[] positions = sequences.positions();
    Queries queries = Queries.all(sequences);
    for (Tensor gradient : List.of(dx, dk, dv, dw, dscale, dhead)) {
      backend.zero(gradient);
    }
    backend.gatherRows(x, head, targets);
    backend.gatherRowsBackward(dhead, targets, x);
    backend.addRmsNorm(y, x, dx, scale, 1e-5f);
    backend.rmsNorm(y, x, scale, 1e-5f);
    backend.rmsNormBackward(dx, dscale, y, x, scale, 1e-5f);
    backend.linear(out, y, w);
    backend.linearBackward(dx, dw, out, y, w);
    backend.rope(out, positions, new Rope(HEAD_DIM, 10_000), false);
    backend.rope(dk, positions, new Rope(HEAD_DIM, 10_000), true);
    backend.attention(y, out, k, v, queries, HEADS, KV_HEADS);
    backend.attentionBackward(dx, dk, dv, y, out, k, v, queries, HEADS, KV_HEADS);
    backend.swiGlu(out, x, y);
    backend.swiGluBackward(dx, y, out, x, out);
    backend.add(dx, x);
    backend.copy(y, dx);
    backend.logProbs(logProbs, entropies, x, head, targets, 0.8f);
    backend.logProbsBackward(dx, dhead, logProbs, entropies, x, head, targets, 0.8f);
    backend.cachedAttention(y, x, k, v, cache, 0, cached, HEADS);
    backend.linearByRow(x, y, w);
    backend.sample(tokens, drawnLogProbs, x, draws);
    norm = backend.norm(dhead);
    backend.adamW(head, dhead, firstMoment, secondMoment, AdamW.llama2(), 0.1, 1e-3, 0.5, 1);
  }

  /** Copies of all tensors and result arrays. */
  List<float[]> results() {
    List<float[]> results = new ArrayList<>();
    results.add(logProbs.clone());
    results.add(entropies.clone());
    results.add(drawnLogProbs.clone());
    results.add(new float[] {(float) norm});
    all.forEach(tensor -> results.add(tensor.toFloats()));
    return results;
  }

  @Override
  public void close() {
    all.forEach(Tensor::close);
    cache.close();
  }
}
