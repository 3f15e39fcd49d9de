package io.millrace.model.contract;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.millrace.model.tensor.Queries;
import io.millrace.model.tensor.Rope;
import io.millrace.model.tensor.RopeScaling;
import io.millrace.model.tensor.Sequences;
import java.util.Random;
import java.util.function.Function;
import org.junit.jupiter.api.Test;

/**
 * Checks the backward passes of {@link Reference} against central differences of its forward
 * passes.
 */
class ReferenceTest {

  private static final double STEP = 1e-5;
  private final Random random = new Random(7);

  /**
   * Checks that the analytic gradient is the derivative of Σ dy ∘ f(input) by every element of the
   * input.
   */
  private static void assertGradient(
      double[] analytic, double[] input, double[] dy, Function<double[], double[]> f) {
    for (int i = 0; i < input.length; i++) {
      double numeric = (loss(input, i, STEP, dy, f) - loss(input, i, -STEP, dy, f)) / (2 * STEP);
      assertEquals(numeric, analytic[i], 1e-7 * Math.max(1, Math.abs(numeric)), "element " + i);
    }
  }

  private static double loss(
      double[] input, int at, double step, double[] dy, Function<double[], double[]> f) {
    double[] moved = input.clone();
    moved[at] += step;
    double[] y = f.apply(moved);
    double sum = 0;
    for (int i = 0; i < y.length; i++) {
      sum += dy[i] * y[i];
    }
    return sum;
  }

  private double[] values(int n) {
    return random.doubles(n, -1.5, 1.5).toArray();
  }

  @Test
  void linear() {
    int n = 3;
    int in = 5;
    int out = 4;
    double[] x = values(n * in);
    double[] w = values(out * in);
    double[] dy = values(n * out);
    double[] dx = new double[x.length];
    double[] dw = new double[w.length];
    Reference.linearBackward(dx, dw, dy, x, w, n, in, out);
    assertGradient(dx, x, dy, moved -> Reference.linear(moved, w, n, in, out));
    assertGradient(dw, w, dy, moved -> Reference.linear(x, moved, n, in, out));
  }

  @Test
  void gatherRows() {
    int[] rows = {2, 0, 2, 2};
    double[] x = values(4 * 3);
    double[] dy = values(rows.length * 3);
    double[] dx = new double[x.length];
    Reference.gatherRowsBackward(dx, rows, dy, 3);
    assertGradient(dx, x, dy, moved -> Reference.gatherRows(moved, rows, 3));
  }

  @Test
  void rmsNorm() {
    int n = 3;
    int h = 7;
    double epsilon = 0.1;
    double[] x = values(n * h);
    double[] w = values(h);
    double[] dy = values(n * h);
    double[] dx = new double[x.length];
    double[] dw = new double[w.length];
    Reference.rmsNormBackward(dx, dw, dy, x, w, n, h, epsilon);
    assertGradient(dx, x, dy, moved -> Reference.rmsNorm(moved, w, n, h, epsilon));
    assertGradient(dw, w, dy, moved -> Reference.rmsNorm(x, moved, n, h, epsilon));
  }

  @Test
  void rope() {
    int[] positions = {0, 1, 70};
    Rope rope = new Rope(6, 100, new RopeScaling.Linear(2));
    double[] x = values(3 * 12);
    double[] dy = values(3 * 12);
    double[] dx = Reference.rope(dy, positions, 12, rope, true);
    assertGradient(dx, x, dy, moved -> Reference.rope(moved, positions, 12, rope, false));
  }

  @Test
  void attention() {
    Sequences sequences = Sequences.ofLengths(1, 4, 2);
    attention(Queries.all(sequences));
    attention(Queries.of(sequences, new int[] {2, 4, 5}));
  }

  private void attention(Queries queries) {
    for (int kvHeads : new int[] {1, 2, 4}) {
      double[] q = values(queries.count() * 4 * 3);
      double[] k = values(7 * kvHeads * 3);
      double[] v = values(7 * kvHeads * 3);
      double[] dy = values(q.length);
      double[] dq = new double[q.length];
      double[] dk = new double[k.length];
      double[] dv = new double[v.length];
      Reference.attentionBackward(dq, dk, dv, dy, q, k, v, queries, 4, kvHeads, 3);
      assertGradient(dq, q, dy, moved -> Reference.attention(moved, k, v, queries, 4, kvHeads, 3));
      assertGradient(dk, k, dy, moved -> Reference.attention(q, moved, v, queries, 4, kvHeads, 3));
      assertGradient(dv, v, dy, moved -> Reference.attention(q, k, moved, queries, 4, kvHeads, 3));
    }
  }

  @Test
  void swiGlu() {
    double[] gate = values(9);
    double[] up = values(9);
    double[] dy = values(9);
    double[] dgate = new double[9];
    double[] dup = new double[9];
    Reference.swiGluBackward(dgate, dup, dy, gate, up);
    assertGradient(dgate, gate, dy, moved -> Reference.swiGlu(moved, up));
    assertGradient(dup, up, dy, moved -> Reference.swiGlu(gate, moved));
  }

  @Test
  void logProbsAndEntropies() {
    int[] targets = {4, 0, 4};
    double[] x = values(3 * 5);
    double[] head = values(6 * 5);
    double[] dLogProbs = values(3);
    double[] dEntropies = values(3);
    double[] dx = new double[x.length];
    double[] dhead = new double[head.length];
    Reference.logProbsBackward(dx, dhead, dLogProbs, dEntropies, x, head, targets, 5, 6, 0.7);
    double[] dy = concatenate(dLogProbs, dEntropies);
    assertGradient(dx, x, dy, moved -> logProbs(moved, head, targets));
    assertGradient(dhead, head, dy, moved -> logProbs(x, moved, targets));
  }

  private static double[] logProbs(double[] x, double[] head, int[] targets) {
    double[][] both = Reference.logProbs(x, head, targets, 5, 6, 0.7);
    return concatenate(both[0], both[1]);
  }

  private static double[] concatenate(double[] a, double[] b) {
    double[] both = new double[a.length + b.length];
    System.arraycopy(a, 0, both, 0, a.length);
    System.arraycopy(b, 0, both, a.length, b.length);
    return both;
  }
}
