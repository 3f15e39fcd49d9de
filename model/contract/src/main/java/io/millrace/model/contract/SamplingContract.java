package io.millrace.model.contract;

import static io.millrace.model.contract.TestTensors.doubles;
import static io.millrace.model.contract.TestTensors.wholeAndSliced;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.model.tensor.Draws;
import io.millrace.model.tensor.Rope;
import io.millrace.model.tensor.Tensor;
import java.util.Arrays;
import java.util.Comparator;
import java.util.Random;
import java.util.function.BiConsumer;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The kernels of a decoding step: rows are independent, and tokens are drawn by inversion. */
interface SamplingContract extends Contract {

  @ParameterizedTest
  @CsvSource({
    "1,1,1",
    "1,7,5",
    "2,8,3",
    "3,9,4",
    "5,1,3",
    "5,3,1",
    "9,17,33",
    "16,288,37",
    "37,64,48",
    "1,64,1003",
    "70,31,19",
    "16,172,64",
    "3,20,172",
    "5,12,4"
  })
  default void linearByRow(int n, int in, int out) {
    wholeAndSliced(
        backend(),
        tensors -> {
          Tensor x = tensors.activation(n, in);
          Tensor w = tensors.random(out, in);
          Tensor y = tensors.output(n, out);
          backend().linearByRow(y, x, w);
          assertForward("out", Reference.linear(doubles(x), doubles(w), n, in, out), y);
          assertEachRowAlone("linearByRow", x, y, (o, row) -> backend().linearByRow(o, row, w));
        });
  }

  /** The result of a row depends on that row only, in the other kernels of a decoding step too. */
  @ParameterizedTest
  @CsvSource({"2,6", "5,22", "9,64", "17,10"})
  default void rowsAreIndependent(int n, int columns) {
    wholeAndSliced(
        backend(),
        tensors -> {
          Tensor x = tensors.activation(n, columns);
          Tensor w = tensors.random(columns);
          Tensor y = tensors.output(n, columns);
          BiConsumer<Tensor, Tensor> norm = (o, row) -> backend().rmsNorm(o, row, w, 1e-5f);
          norm.accept(y, x);
          assertEachRowAlone("rmsNorm", x, y, norm);
          BiConsumer<Tensor, Tensor> gate = (o, row) -> backend().swiGlu(o, row, row);
          gate.accept(y, x);
          assertEachRowAlone("swiGlu", x, y, gate);
          BiConsumer<Tensor, Tensor> turn =
              (o, row) -> {
                backend().copy(o, row);
                int[] positions = new int[row.rows()];
                Arrays.fill(positions, 13);
                backend().rope(o, positions, new Rope(columns, 10_000), false);
              };
          turn.accept(y, x);
          assertEachRowAlone("rope", x, y, turn);
        });
  }

  private void assertEachRowAlone(
      String what, Tensor x, Tensor y, BiConsumer<Tensor, Tensor> kernel) {
    float[] together = y.toFloats();
    int out = y.columns();
    try (Tensor alone = backend().allocateActivation(1, out)) {
      for (int i = 0; i < x.rows(); i++) {
        kernel.accept(alone, x.slice((long) i * x.columns(), 1, x.columns()));
        assertArrayEquals(
            Arrays.copyOfRange(together, i * out, (i + 1) * out),
            alone.toFloats(),
            rowTolerance(),
            what + ", row " + i);
      }
    }
  }

  @ParameterizedTest
  @CsvSource({
    "1,1,1",
    "2,1,1",
    "3,0.7,1",
    "7,1,0.5",
    "16,2,0.9",
    "101,1,0.95",
    "1003,0.5,0.3",
    "1003,1,0.999",
    "1003,0,1",
    "4099,1.3,1",
    "4099,1.3,0.92"
  })
  default void drawsByInversion(int vocab, float temperature, float topP) {
    Random random = new Random(17);
    int n = 23;
    double[] uniforms = random.doubles(n).toArray();
    uniforms[0] = 0;
    uniforms[1] = Math.nextDown(1.0);
    wholeAndSliced(
        backend(),
        tensors -> {
          Tensor logits = tensors.tensor(tensors.values(n * vocab, 6), n, vocab);
          int[] tokens = new int[n];
          float[] logProbs = new float[n];
          backend().sample(tokens, logProbs, logits, draws(temperature, topP, uniforms));
          double[] values = doubles(logits);
          for (int i = 0; i < n; i++) {
            double[] row = Arrays.copyOfRange(values, i * vocab, (i + 1) * vocab);
            assertDrawn(row, temperature, topP, uniforms[i], tokens[i], logProbs[i]);
          }
        });
  }

  private static void assertDrawn(
      double[] logits, double temperature, double topP, double uniform, int token, float logProb) {
    double scale = temperature == 0 ? 1 : 1 / temperature;
    double max = Arrays.stream(logits).max().orElseThrow();
    double[] p = Arrays.stream(logits).map(z -> Math.exp((z - max) * scale)).toArray();
    double sum = Arrays.stream(p).sum();
    assertEquals((logits[token] - max) * scale - Math.log(sum), logProb, 2e-6 * 12 * scale + 1e-6);
    if (temperature == 0) {
      int first = IntStream.range(0, p.length).filter(i -> logits[i] == max).findFirst().orElse(-1);
      assertEquals(first, token);
      return;
    }
    // Rounding can move a boundary of the nucleus or of the drawn interval slightly.
    double tolerance = 1e-5;
    double above = 0;
    for (double other : p) {
      above += other > p[token] ? other : 0;
    }
    assertTrue(
        above <= (topP + tolerance) * sum,
        "the token is outside the nucleus: more probable tokens hold " + above / sum);
    if (topP == 1) {
      double before = Arrays.stream(p, 0, token).sum() / sum;
      assertTrue(uniform >= before - tolerance, uniform + " is before the interval of the token");
      assertTrue(
          uniform <= before + p[token] / sum + tolerance,
          uniform + " is after the interval of the token");
    } else {
      assertNucleus(p, sum, topP, uniform, token, tolerance);
    }
  }

  private static void assertNucleus(
      double[] p, double sum, double topP, double uniform, int token, double tolerance) {
    Integer[] order = IntStream.range(0, p.length).boxed().toArray(Integer[]::new);
    Arrays.sort(order, Comparator.comparingDouble((Integer i) -> -p[i]));
    double kept = 0;
    double before = 0;
    for (int i : order) {
      if (kept >= topP * sum) {
        break;
      }
      kept += p[i];
      before += i < token ? p[i] : 0;
    }
    // Rounding can move only the least probable token into the nucleus or out of it.
    double leastProbable = 0.01;
    assertTrue(
        uniform * kept >= before - (tolerance + leastProbable) * sum,
        uniform + " is before the interval of the token");
    assertTrue(
        uniform * kept <= before + p[token] + (tolerance + leastProbable) * sum,
        uniform + " is after the interval of the token");
  }

  private static Draws draws(float temperature, float topP, double[] uniforms) {
    float[] temperatures = new float[uniforms.length];
    float[] topPs = new float[uniforms.length];
    Arrays.fill(temperatures, temperature);
    Arrays.fill(topPs, topP);
    return new Draws(temperatures, topPs, uniforms);
  }

  @Test
  default void equalTokensAreOrderedById() {
    wholeAndSliced(
        backend(),
        tensors -> {
          Tensor logits = tensors.tensor(new double[] {0, 5, 5, 5, 5, -90}, 1, 6);
          int[] token = new int[1];
          float[] logProb = new float[1];
          // Half of the mass of four equal tokens keeps the first two.
          for (double uniform : new double[] {0, 0.49, 0.51, 0.999}) {
            backend().sample(token, logProb, logits, draws(1, 0.498f, new double[] {uniform}));
            assertEquals(uniform < 0.5 ? 1 : 2, token[0]);
          }
          backend().sample(token, logProb, logits, draws(0, 1, new double[] {0.7}));
          assertEquals(1, token[0]);
          assertEquals(-Math.log(4 + Math.exp(-5)), logProb[0], 1e-6);
        });
  }

  @Test
  default void aDrawDependsOnItsRowOnly() {
    wholeAndSliced(
        backend(),
        tensors -> {
          int n = 19;
          int vocab = 515;
          Tensor logits = tensors.tensor(tensors.values(n * vocab, 4), n, vocab);
          double[] uniforms = new Random(3).doubles(n).toArray();
          int[] tokens = new int[n];
          float[] logProbs = new float[n];
          backend().sample(tokens, logProbs, logits, draws(0.9f, 0.9f, uniforms));
          for (int i = 0; i < n; i++) {
            int[] token = new int[1];
            float[] logProb = new float[1];
            Tensor row = logits.slice((long) i * vocab, 1, vocab);
            backend().sample(token, logProb, row, draws(0.9f, 0.9f, new double[] {uniforms[i]}));
            assertEquals(tokens[i], token[0]);
            assertEquals(logProbs[i], logProb[0]);
          }
        });
  }
}
