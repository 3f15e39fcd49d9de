package io.millrace.model.tensor;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;

/** Tensors of a small model and one call of each kernel on them. */
final class Workload implements AutoCloseable {

  static final int KERNELS = 19;
  static final int HEADS = 4;
  static final int KV_HEADS = 2;
  static final int HEAD_DIM = 10;
  static final int H = HEADS * HEAD_DIM;
  static final int VOCAB = 101;

  private final Backend backend;
  private final Sequences sequences;
  private final int[] targets;
  private final int[] slots;
  private final List<Tensor> all = new ArrayList<>();
  private final float[] logProbs;
  private final float[] entropies;
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
    this.slots = new int[sequences.count()];
    Arrays.setAll(slots, i -> slots.length - 1 - i);
    this.logProbs = new float[n];
    this.entropies = new float[n];
    this.x = random(n, H);
    this.y = random(n, H);
    this.dx = random(n, H);
    this.out = random(n, H);
    this.k = random(n, KV_HEADS * HEAD_DIM);
    this.v = random(n, KV_HEADS * HEAD_DIM);
    this.dk = random(n, KV_HEADS * HEAD_DIM);
    this.dv = random(n, KV_HEADS * HEAD_DIM);
    this.w = random(H, H);
    this.dw = random(H, H);
    this.scale = random(H);
    this.dscale = random(H);
    this.head = random(VOCAB, H);
    this.dhead = random(VOCAB, H);
    this.firstMoment = random(VOCAB, H);
    this.secondMoment = random(VOCAB, H);
    backend.zero(secondMoment);
    this.cache = backend.kvCache(1, slots.length, sequences.maxLength(), KV_HEADS, HEAD_DIM);
  }

  private Tensor random(int... shape) {
    Tensor tensor = backend.allocate(shape);
    float[] values = new float[Math.toIntExact(tensor.size())];
    Random random = new Random(all.size());
    for (int i = 0; i < values.length; i++) {
      values[i] = random.nextFloat() - 0.5f;
    }
    tensor.write(values);
    all.add(tensor);
    return tensor;
  }

  /** Calls each kernel once; values stay bounded however often it runs. */
  void run() {
    int[] positions = sequences.positions();
    for (Tensor gradient : List.of(dx, dk, dv, dw, dscale, dhead)) {
      backend.zero(gradient);
    }
    backend.gatherRows(x, head, targets);
    backend.gatherRowsBackward(dhead, targets, x);
    backend.rmsNorm(y, x, scale, 1e-5f);
    backend.rmsNormBackward(dx, dscale, y, x, scale, 1e-5f);
    backend.linear(out, y, w);
    backend.linearBackward(dx, dw, out, y, w);
    backend.rope(out, positions, new Rope(HEAD_DIM, 10_000), false);
    backend.rope(dk, positions, new Rope(HEAD_DIM, 10_000), true);
    backend.attention(y, out, k, v, sequences, HEADS, KV_HEADS);
    backend.attentionBackward(dx, dk, dv, y, out, k, v, sequences, HEADS, KV_HEADS);
    backend.swiGlu(out, x, y);
    backend.swiGluBackward(dx, y, out, x, out);
    backend.add(dx, x);
    backend.copy(y, dx);
    backend.logProbs(logProbs, entropies, x, head, targets, 0.8f);
    backend.logProbsBackward(dx, dhead, logProbs, entropies, x, head, targets, 0.8f);
    int[] fromStart = new int[slots.length];
    backend.cachedAttention(y, x, k, v, cache, 0, slots, sequences, fromStart, HEADS);
    norm = backend.norm(dhead);
    backend.adamW(head, dhead, firstMoment, secondMoment, AdamW.llama2(), 0.1, 1e-3, 0.5, 1);
  }

  /** What every tensor and array holds now. */
  List<float[]> results() {
    List<float[]> results = new ArrayList<>();
    results.add(logProbs.clone());
    results.add(entropies.clone());
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
