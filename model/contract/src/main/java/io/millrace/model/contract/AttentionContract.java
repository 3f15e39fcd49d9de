package io.millrace.model.contract;

import static io.millrace.model.contract.TestTensors.assertClose;
import static io.millrace.model.contract.TestTensors.doubles;
import static io.millrace.model.contract.TestTensors.wholeAndSliced;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import io.millrace.model.tensor.Queries;
import io.millrace.model.tensor.Sequences;
import io.millrace.model.tensor.Tensor;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Attention over packed sequences, forward and backward, where all tokens or some attend. */
interface AttentionContract extends Contract {

  @ParameterizedTest
  @CsvSource({"1,1,2", "1,1,16", "4,1,6", "4,2,10", "4,4,6", "6,2,16", "3,3,1"})
  default void attention(int heads, int kvHeads, int headDim) {
    int[][] lengths = {{1}, {1, 1, 1}, {2}, {1, 2}, {5}, {3, 1, 7, 2}, {1, 19}, {16, 16}, {40, 1}};
    for (int[] of : lengths) {
      assertAttention(Queries.all(Sequences.ofLengths(of)), heads, kvHeads, headDim, 1);
    }
  }

  @ParameterizedTest
  @CsvSource({"1,1,2", "4,1,6", "4,2,10", "6,2,16"})
  default void attentionOfSomeTokens(int heads, int kvHeads, int headDim) {
    Sequences sequences = Sequences.ofLengths(3, 1, 40, 5, 1);
    int[][] rows = {
      {0},
      {48},
      {2, 3, 43, 48, 49},
      {1, 5, 6, 9, 30, 44, 47},
      IntStream.range(14, 44).toArray(),
      IntStream.range(1, 49).filter(row -> row % 3 != 0).toArray(),
      IntStream.range(0, 50).toArray()
    };
    for (int[] rowsThatAttend : rows) {
      assertAttention(Queries.of(sequences, rowsThatAttend), heads, kvHeads, headDim, 1);
    }
  }

  @Test
  default void attentionWithScoresThatExpCannotRepresent() {
    assertAttention(Queries.all(Sequences.ofLengths(6, 1, 9)), 4, 2, 8, 30);
  }

  private void assertAttention(Queries queries, int heads, int kvHeads, int headDim, double scale) {
    int m = queries.count();
    int n = queries.sequences().tokens();
    wholeAndSliced(
        backend(),
        tensors -> {
          Tensor q =
              tensors.activation(tensors.values(m * heads * headDim, scale), m, heads * headDim);
          Tensor k =
              tensors.activation(
                  tensors.values(n * kvHeads * headDim, scale), n, kvHeads * headDim);
          Tensor v = tensors.activation(n, kvHeads * headDim);
          Tensor out = tensors.output(m, heads * headDim);
          backend().attention(out, q, k, v, queries, heads, kvHeads);
          assertForward(
              "out",
              Reference.attention(
                  doubles(q), doubles(k), doubles(v), queries, heads, kvHeads, headDim),
              out);

          Tensor dout = tensors.activation(m, heads * headDim);
          Tensor dq = tensors.output(m, heads * headDim);
          Tensor dk = tensors.output(n, kvHeads * headDim);
          Tensor dv = tensors.output(n, kvHeads * headDim);
          double[] expectedDq = new double[m * heads * headDim];
          double[] expectedDk = new double[n * kvHeads * headDim];
          double[] expectedDv = new double[n * kvHeads * headDim];
          Reference.attentionBackward(
              expectedDq,
              expectedDk,
              expectedDv,
              doubles(dout),
              doubles(q),
              doubles(k),
              doubles(v),
              queries,
              heads,
              kvHeads,
              headDim);
          backend().attentionBackward(dq, dk, dv, dout, q, k, v, queries, heads, kvHeads);
          assertGradient("dq", expectedDq, dq, scale);
          assertGradient("dk", expectedDk, dk, scale);
          assertGradient("dv", expectedDv, dv, scale);

          backend().attentionBackward(q, k, v, dout, q, k, v, queries, heads, kvHeads);
          assertArrayEquals(dq.toFloats(), q.toFloats(), "dq must be the same in place of q");
          assertArrayEquals(dk.toFloats(), k.toFloats(), "dk must be the same in place of k");
          assertArrayEquals(dv.toFloats(), v.toFloats(), "dv must be the same in place of v");
        });
  }

  /**
   * The tolerance of every gradient, plus the rounding of terms that cancel in (dP − Σ P ∘ dP) · k.
   */
  private void assertGradient(String what, double[] expected, Tensor actual, double scale) {
    double relative = backwardTolerance();
    assertClose(what, expected, doubles(actual), relative, 1e-3 * relative * scale);
  }
}
