package io.millrace.model.contract;

import static io.millrace.model.contract.TestTensors.assertClose;
import static io.millrace.model.contract.TestTensors.doubles;
import static io.millrace.model.contract.TestTensors.floats;
import static io.millrace.model.contract.TestTensors.wholeAndSliced;

import io.millrace.model.tensor.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The language-model head, fused with log-probabilities and entropies, forward and backward. */
interface HeadContract extends Contract {

  @ParameterizedTest
  @CsvSource({"1,8,1003,1", "1,1,2,1", "7,13,1003,0.7", "5,6,31,1.5", "33,64,257,0.25"})
  default void logProbs(int n, int h, int vocab, float temperature) {
    assertLogProbs(n, h, vocab, temperature, 1);
  }

  /** Logits of ±1,000, whose exp is not a float32. */
  @Test
  default void logProbsOfExtremeLogits() {
    assertLogProbs(9, 10, 53, 1, 25);
  }

  /** More logits than a backend holds at a time. */
  @Test
  default void logProbsOfManyRows() {
    assertLogProbs(4_500, 6, 1003, 0.9f, 1);
  }

  private void assertLogProbs(int n, int h, int vocab, float temperature, double scale) {
    wholeAndSliced(
        backend(),
        tensors -> {
          Tensor x = tensors.activation(tensors.values(n * h, scale), n, h);
          Tensor head = tensors.tensor(tensors.values(vocab * h, scale), vocab, h);
          int[] targets = tensors.indices(n, vocab);
          targets[0] = vocab - 1;
          targets[n - 1] = 0;
          float[] logProbs = new float[n];
          float[] entropies = new float[n];
          backend().logProbs(logProbs, entropies, x, head, targets, temperature);
          double[][] expected =
              Reference.logProbs(doubles(x), doubles(head), targets, h, vocab, temperature);
          assertClose("log-probs", expected[0], doubles(logProbs), forwardTolerance());
          // An absolute tolerance in nats: the entropy of a distribution on one token is only
          // rounding.
          assertClose(
              "entropies", expected[1], doubles(entropies), forwardTolerance(), forwardTolerance());

          double[] dLogProbs = tensors.values(n, 1);
          double[] dEntropies = tensors.values(n, 0.1);
          for (boolean frozen : new boolean[] {false, true}) {
            Tensor dx = tensors.activation(n, h);
            Tensor dhead = tensors.random(vocab, h);
            double[] expectedDx = doubles(dx);
            double[] expectedDhead = doubles(dhead);
            Reference.logProbsBackward(
                expectedDx,
                expectedDhead,
                dLogProbs,
                dEntropies,
                doubles(x),
                doubles(head),
                targets,
                h,
                vocab,
                temperature);
            backend()
                .logProbsBackward(
                    dx,
                    frozen ? null : dhead,
                    floats(dLogProbs),
                    floats(dEntropies),
                    x,
                    head,
                    targets,
                    temperature);
            assertBackward(frozen ? "dx with a frozen head" : "dx", expectedDx, dx);
            if (!frozen) {
              assertBackward("dhead", expectedDhead, dhead);
            }
          }
        });
  }
}
