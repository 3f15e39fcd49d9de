package io.millrace.model.contract;

import static io.millrace.model.contract.TestTensors.wholeAndSliced;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import io.millrace.model.tensor.AdamW;
import io.millrace.model.tensor.Tensor;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** AdamW against {@link ReferenceAdamW}. */
interface AdamWContract extends Contract {

  @ParameterizedTest
  @CsvSource({
    "0.9, 0.95, 1e-5, 0.1, 1e-3, 1",
    "0.9, 0.999, 1e-8, 0, 1e-2, 0.3",
    "0, 0.99, 1e-8, 0.01, 0.1, 2",
    "0.5, 0, 1e-3, 0.5, 0.05, 0.01"
  })
  default void adamW(
      double beta1, double beta2, double epsilon, double decay, double rate, double scale) {
    AdamW settings = new AdamW(beta1, beta2, epsilon, 0.1, 1);
    wholeAndSliced(
        backend(),
        tensors -> {
          double[] initial = tensors.values(37, 1);
          ReferenceAdamW reference = new ReferenceAdamW(initial);
          Tensor parameters = tensors.tensor(initial, 37);
          Tensor first = tensors.tensor(new double[37], 37);
          Tensor second = tensors.tensor(new double[37], 37);
          for (int step = 1; step <= 10; step++) {
            double[] gradients = tensors.values(37, step % 3 + 0.1);
            Tensor g = tensors.tensor(gradients, 37);
            double warm = rate * step / 10;
            reference.step(gradients, settings, decay, warm, scale);
            backend().adamW(parameters, g, first, second, settings, decay, warm, scale, step);
            assertArrayEquals(
                TestTensors.floats(gradients), g.toFloats(), "gradients must not change");
          }
          assertForward("parameters", reference.parameters, parameters);
          assertForward("first moment", reference.firstMoment, first);
          assertForward("second moment", reference.secondMoment, second);
        });
  }

  /**
   * A trainer updates slices of one tensor with different weight decay. The elements between them
   * must not change.
   */
  @Test
  default void adamWOfSlices() {
    wholeAndSliced(
        backend(),
        tensors -> {
          double[] initial = tensors.values(20, 1);
          double[] gradients = tensors.values(20, 1);
          Tensor parameters = tensors.tensor(initial, 20);
          Tensor g = tensors.tensor(gradients, 20);
          Tensor first = tensors.tensor(new double[20], 20);
          Tensor second = tensors.tensor(new double[20], 20);
          ReferenceAdamW decayed = new ReferenceAdamW(initial);
          ReferenceAdamW plain = new ReferenceAdamW(initial);
          for (int step = 1; step <= 3; step++) {
            decayed.step(gradients, AdamW.llama2(), 0.1, 0.1, 1);
            plain.step(gradients, AdamW.llama2(), 0, 0.1, 1);
            adamWOfSlice(step, 0, 7, 0.1, parameters, g, first, second);
            adamWOfSlice(step, 7, 6, 0, parameters, g, first, second);
          }
          double[] expected = initial.clone();
          System.arraycopy(decayed.parameters, 0, expected, 0, 7);
          System.arraycopy(plain.parameters, 7, expected, 7, 6);
          assertForward("parameters", expected, parameters);
          double[] moment = plain.firstMoment;
          Arrays.fill(moment, 13, 20, 0);
          assertForward("first moment", moment, first);
        });
  }

  private void adamWOfSlice(
      int step, int from, int length, double decay, Tensor p, Tensor g, Tensor m, Tensor v) {
    backend()
        .adamW(
            p.slice(from, length),
            g.slice(from, length),
            m.slice(from, length),
            v.slice(from, length),
            AdamW.llama2(),
            decay,
            0.1,
            1,
            step);
  }
}
