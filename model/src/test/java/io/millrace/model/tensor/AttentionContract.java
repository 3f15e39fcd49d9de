package io.millrace.model.tensor;

import static io.millrace.model.tensor.TestTensors.assertBackward;
import static io.millrace.model.tensor.TestTensors.assertForward;
import static io.millrace.model.tensor.TestTensors.doubles;
import static io.millrace.model.tensor.TestTensors.wholeAndSliced;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Causal grouped-query attention over packed sequences. */
interface AttentionContract extends Contract {

  @ParameterizedTest
  @CsvSource({"1,1,2", "1,1,16", "4,1,6", "4,2,10", "4,4,6", "6,2,16", "3,3,1"})
  default void attention(int heads, int kvHeads, int headDim) {
    int[][] lengths = {{1}, {1, 1, 1}, {2}, {1, 2}, {5}, {3, 1, 7, 2}, {1, 19}, {16, 16}, {40, 1}};
    for (int[] of : lengths) {
      assertAttention(Sequences.ofLengths(of), heads, kvHeads, headDim, 1);
    }
  }

  @Test
  default void attentionWithScoresBeyondWhatExpHolds() {
    assertAttention(Sequences.ofLengths(6, 1, 9), 4, 2, 8, 30);
  }

  private void assertAttention(
      Sequences sequences, int heads, int kvHeads, int headDim, double scale) {
    int n = sequences.tokens();
    wholeAndSliced(
        backend(),
        tensors -> {
          Tensor q = tensors.tensor(tensors.values(n * heads * headDim, scale), n, heads * headDim);
          Tensor k =
              tensors.tensor(tensors.values(n * kvHeads * headDim, scale), n, kvHeads * headDim);
          Tensor v = tensors.random(n, kvHeads * headDim);
          Tensor out = tensors.output(n, heads * headDim);
          backend().attention(out, q, k, v, sequences, heads, kvHeads);
          assertForward(
              "out",
              Reference.attention(
                  doubles(q), doubles(k), doubles(v), sequences, heads, kvHeads, headDim),
              out);

          Tensor dout = tensors.random(n, heads * headDim);
          Tensor dq = tensors.random(n, heads * headDim);
          Tensor dk = tensors.random(n, kvHeads * headDim);
          Tensor dv = tensors.random(n, kvHeads * headDim);
          double[] expectedDq = doubles(dq);
          double[] expectedDk = doubles(dk);
          double[] expectedDv = doubles(dv);
          Reference.attentionBackward(
              expectedDq,
              expectedDk,
              expectedDv,
              doubles(dout),
              doubles(q),
              doubles(k),
              doubles(v),
              sequences,
              heads,
              kvHeads,
              headDim);
          backend().attentionBackward(dq, dk, dv, dout, q, k, v, sequences, heads, kvHeads);
          assertBackward("dq", expectedDq, dq);
          assertBackward("dk", expectedDk, dk);
          assertBackward("dv", expectedDv, dv);
        });
  }
}
