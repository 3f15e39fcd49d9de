package io.millrace.model.contract;

import static io.millrace.model.contract.TestTensors.doubles;
import static io.millrace.model.contract.TestTensors.wholeAndSliced;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.millrace.model.tensor.Tensor;
import java.util.Arrays;
import org.junit.jupiter.api.Test;

/** Tensors, and the kernels that only move or add elements. */
interface MemoryContract extends Contract {

  @Test
  default void allocatesZeros() {
    try (Tensor x = backend().allocate(3, 7)) {
      assertArrayEquals(new int[] {3, 7}, x.shape());
      assertArrayEquals(new float[21], x.toFloats());
    }
  }

  @Test
  default void readsAndWritesRanges() {
    wholeAndSliced(
        backend(),
        tensors -> {
          Tensor x = tensors.tensor(new double[] {0, 1, 2, 3, 4, 5}, 2, 3);
          x.write(2, new float[] {-1, 20, 30, -1}, 1, 2);
          float[] target = new float[5];
          x.read(1, target, 1, 4);
          assertArrayEquals(new float[] {0, 1, 20, 30, 4}, target);
          assertArrayEquals(new float[] {0, 1, 20, 30, 4, 5}, x.toFloats());
          assertThrows(IllegalArgumentException.class, () -> x.read(4, target, 0, 3));
          assertThrows(IllegalArgumentException.class, () -> x.write(-1, target, 0, 2));
          assertThrows(IllegalArgumentException.class, () -> x.write(1, 2, 3));
        });
  }

  @Test
  default void slicesShareMemory() {
    wholeAndSliced(
        backend(),
        tensors -> {
          Tensor x = tensors.tensor(new double[] {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, 12);
          Tensor middle = x.slice(3, 4, 2);
          assertArrayEquals(new float[] {3, 4, 5, 6, 7, 8, 9, 10}, middle.toFloats());
          Tensor inner = middle.slice(2, 2, 2);
          assertArrayEquals(new float[] {5, 6, 7, 8}, inner.toFloats());
          inner.write(50, 60, 70, 80);
          backend().add(inner, inner);
          assertArrayEquals(
              new float[] {0, 1, 2, 3, 4, 100, 120, 140, 160, 9, 10, 11}, x.toFloats());
          assertArrayEquals(new float[] {3, 4, 100, 120}, middle.firstRows(2).toFloats());
          inner.close();
          assertEquals(100, x.toFloats()[5], "closing a slice must not close its owner");
          assertThrows(IllegalArgumentException.class, () -> x.slice(9, 2, 2));
          assertThrows(IllegalArgumentException.class, () -> middle.slice(6, 3));
          assertThrows(IllegalArgumentException.class, () -> x.slice(-1, 2));
        });
  }

  @Test
  default void zeroesCopiesAndAdds() {
    wholeAndSliced(
        backend(),
        tensors -> {
          Tensor a = tensors.random(3, 17);
          Tensor b = tensors.random(3, 17);
          double[] before = doubles(a);
          backend().add(a, b);
          double[] sum = doubles(b);
          for (int i = 0; i < sum.length; i++) {
            sum[i] = (float) (sum[i] + before[i]);
          }
          assertArrayEquals(sum, doubles(a));
          backend().copy(b, a);
          assertArrayEquals(sum, doubles(b));
          backend().zero(a);
          assertArrayEquals(new float[51], a.toFloats());
          assertArrayEquals(sum, doubles(b), "a copy must not share memory");
        });
  }

  @Test
  default void accumulatesNormsInFloat64() {
    wholeAndSliced(
        backend(),
        tensors -> {
          double[] values = tensors.values(1003, 1);
          double squares = Arrays.stream(values).map(value -> value * value).sum();
          Tensor x = tensors.tensor(values, 1003);
          assertEquals(Math.sqrt(squares), backend().norm(x), 1e-9);
          assertEquals(5, backend().norm(tensors.tensor(new double[] {3, -4}, 1, 2)), 1e-12);
          backend().zero(x);
          assertEquals(0, backend().norm(x));
          // The squares of these numbers are not float32, and a float32 sum of these ones would
          // stop growing.
          double tiny = (float) 1e-30;
          assertEquals(
              2 * tiny,
              backend().norm(tensors.tensor(new double[] {tiny, tiny, -tiny, tiny}, 4)),
              1e-6 * tiny);
          double[] ones = new double[3_000_000];
          Arrays.fill(ones, (float) 0.1);
          assertEquals(
              Math.sqrt(ones.length) * (float) 0.1,
              backend().norm(tensors.tensor(ones, ones.length)),
              1e-8);
        });
  }

  @Test
  default void gathersRows() {
    for (int columns : new int[] {1, 5, 16}) {
      for (int n : new int[] {1, 9}) {
        wholeAndSliced(
            backend(),
            tensors -> {
              int[] rows = tensors.indices(n, 7);
              Tensor x = tensors.activation(7, columns);
              Tensor out = tensors.output(n, columns);
              backend().gatherRows(out, x, rows);
              assertArrayEquals(Reference.gatherRows(doubles(x), rows, columns), doubles(out));
            });
      }
    }
  }

  @Test
  default void gathersGradientsOfRepeatedRows() {
    for (int columns : new int[] {1, 5, 16}) {
      wholeAndSliced(
          backend(),
          tensors -> {
            int[] rows = {6, 0, 6, 3, 6, 0, 6};
            Tensor dx = tensors.random(7, columns);
            Tensor dout = tensors.activation(rows.length, columns);
            double[] expected = doubles(dx);
            Reference.gatherRowsBackward(expected, rows, doubles(dout), columns);
            backend().gatherRowsBackward(dx, rows, dout);
            assertBackward("dx", expected, dx);
          });
    }
  }

  @Test
  default void scales() {
    wholeAndSliced(
        backend(),
        tensors -> {
          for (int n : new int[] {1, 3, 16, 37, 5000}) {
            Tensor x = tensors.random(n);
            double[] expected = Arrays.stream(doubles(x)).map(value -> 1.75 * value).toArray();
            backend().scale(x, 1.75);
            assertArrayEquals(expected, doubles(x), 1e-6, "of " + n);
          }
        });
  }
}
