package io.millrace.model.contract;

import static io.millrace.model.contract.TestTensors.doubles;
import static io.millrace.model.contract.TestTensors.wholeAndSliced;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import io.millrace.model.tensor.Rope;
import io.millrace.model.tensor.RopeScaling;
import io.millrace.model.tensor.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Kernels that work row by row or element by element, forward and backward. */
interface RowsContract extends Contract {

  @ParameterizedTest
  @CsvSource({"1,1,1", "1,7,5", "5,1,3", "5,3,1", "9,17,33", "64,48,16", "1,64,1003"})
  default void linear(int n, int in, int out) {
    wholeAndSliced(
        backend(),
        tensors -> {
          Tensor x = tensors.activation(n, in);
          Tensor w = tensors.random(out, in);
          Tensor y = tensors.output(n, out);
          backend().linear(y, x, w);
          assertForward("out", Reference.linear(doubles(x), doubles(w), n, in, out), y);

          Tensor dy = tensors.activation(n, out);
          Tensor dx = tensors.activation(n, in);
          Tensor dw = tensors.random(out, in);
          double[] expectedDx = doubles(dx);
          double[] expectedDw = doubles(dw);
          Reference.linearBackward(
              expectedDx, expectedDw, doubles(dy), doubles(x), doubles(w), n, in, out);
          backend().linearBackward(dx, dw, dy, x, w);
          assertBackward("dx", expectedDx, dx);
          assertBackward("dw", expectedDw, dw);

          Tensor dxAlone = tensors.random(n, in);
          double[] expectedAlone = doubles(dxAlone);
          Reference.linearBackward(
              expectedAlone, expectedDw, doubles(dy), doubles(x), doubles(w), n, in, out);
          backend().linearBackward(dxAlone, null, dy, x, w);
          assertBackward("dx with frozen weights", expectedAlone, dxAlone);
        });
  }

  @ParameterizedTest
  @CsvSource({"1,1,1", "1,7,1", "5,1,1", "9,33,1", "3,64,1e-3", "4,31,1e3"})
  default void rmsNorm(int n, int h, double scale) {
    float epsilon = 1e-5f;
    wholeAndSliced(
        backend(),
        tensors -> {
          Tensor x = tensors.activation(tensors.values(n * h, scale), n, h);
          Tensor w = tensors.random(h);
          Tensor y = tensors.output(n, h);
          backend().rmsNorm(y, x, w, epsilon);
          assertForward("out", Reference.rmsNorm(doubles(x), doubles(w), n, h, epsilon), y);

          Tensor change = tensors.activation(tensors.values(n * h, scale), n, h);
          Tensor sum = tensors.activation(doubles(x), n, h);
          backend().add(sum, change);
          Tensor stream = tensors.activation(doubles(x), n, h);
          Tensor normalised = tensors.output(n, h);
          backend().addRmsNorm(normalised, stream, change, w, epsilon);
          assertArrayEquals(sum.toFloats(), stream.toFloats(), "x + change");
          assertForward(
              "norm of the sum",
              Reference.rmsNorm(doubles(sum), doubles(w), n, h, epsilon),
              normalised);

          Tensor dy = tensors.activation(n, h);
          Tensor dx = tensors.activation(tensors.values(n * h, 1 / scale), n, h);
          Tensor dw = tensors.random(h);
          double[] expectedDx = doubles(dx);
          double[] expectedDw = doubles(dw);
          Reference.rmsNormBackward(
              expectedDx, expectedDw, doubles(dy), doubles(x), doubles(w), n, h, epsilon);
          backend().rmsNormBackward(dx, dw, dy, x, w, epsilon);
          assertBackward("dx", expectedDx, dx);
          assertBackward("dw", expectedDw, dw);

          Tensor dxAlone = tensors.tensor(tensors.values(n * h, 1 / scale), n, h);
          double[] expectedAlone = doubles(dxAlone);
          Reference.rmsNormBackward(
              expectedAlone, expectedDw, doubles(dy), doubles(x), doubles(w), n, h, epsilon);
          backend().rmsNormBackward(dxAlone, null, dy, x, w, epsilon);
          assertBackward("dx with a frozen gain", expectedAlone, dxAlone);
        });
  }

  @ParameterizedTest
  @CsvSource({"1,1,1", "5,11,1", "3,16,30", "2,3,200"})
  default void swiGlu(int n, int f, double scale) {
    wholeAndSliced(
        backend(),
        tensors -> {
          Tensor gate = tensors.activation(tensors.values(n * f, scale), n, f);
          Tensor up = tensors.activation(n, f);
          Tensor y = tensors.output(n, f);
          backend().swiGlu(y, gate, up);
          assertForward("out", Reference.swiGlu(doubles(gate), doubles(up)), y);

          Tensor dy = tensors.activation(n, f);
          Tensor dgate = tensors.output(n, f);
          Tensor dup = tensors.output(n, f);
          double[] expectedDgate = new double[n * f];
          double[] expectedDup = new double[n * f];
          Reference.swiGluBackward(
              expectedDgate, expectedDup, doubles(dy), doubles(gate), doubles(up));
          backend().swiGluBackward(dgate, dup, dy, gate, up);
          assertBackward("dgate", expectedDgate, dgate);
          assertBackward("dup", expectedDup, dup);

          backend().swiGluBackward(gate, up, dy, gate, up);
          assertArrayEquals(
              dgate.toFloats(), gate.toFloats(), "dgate must be the same in place of gate");
          assertArrayEquals(dup.toFloats(), up.toFloats(), "dup must be the same in place of up");
        });
  }

  @ParameterizedTest
  @ValueSource(ints = {2, 6, 10, 16})
  default void rope(int headDim) {
    int[][] positions = {{0}, {1}, {0, 1, 2, 0, 1}, {63, 64, 65, 3}, {700, 0, 129}, {5, 5}};
    // Bases and numbers of heads alternate, so that a backend cannot reuse the angles of another
    // call.
    double[] bases = {10_000, 100, 500_000};
    RopeScaling[] scalings = {
      RopeScaling.NONE, new RopeScaling.Linear(4), new RopeScaling.Llama3(8, 1, 4, 128)
    };
    for (int i = 0; i < positions.length; i++) {
      for (int heads : new int[] {1, 3}) {
        for (boolean backward : new boolean[] {false, true}) {
          double base = bases[(i + heads) % bases.length];
          for (RopeScaling scaling : scalings) {
            assertRope(positions[i], heads, new Rope(headDim, base, scaling), backward);
          }
          assertRope(positions[i], heads, new Rope(headDim + 2, bases[i % bases.length]), backward);
        }
      }
    }
  }

  /** Positions up to 600 pass the edges of growing tables of angles, whatever their sizes. */
  @Test
  default void ropeAtGrowingPositions() {
    for (int position = 0; position < 600; position++) {
      assertRope(new int[] {position}, 1, new Rope(4, 10_000), false);
    }
  }

  private void assertRope(int[] positions, int heads, Rope rope, boolean backward) {
    wholeAndSliced(
        backend(),
        tensors -> {
          int columns = heads * rope.headDim();
          Tensor x = tensors.activation(positions.length, columns);
          double[] expected = Reference.rope(doubles(x), positions, columns, rope, backward);
          backend().rope(x, positions, rope, backward);
          assertForward("rope", expected, x);
        });
  }
}
