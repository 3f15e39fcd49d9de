package io.millrace.model.cpu;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.model.cpu.tiles.Matrix;
import io.millrace.model.cpu.tiles.Tiles;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Both implementations of matrix products, against sums in float64. */
class GemmTest {

  /**
   * Sizes m, n and k: single elements, less than a tile or a panel, several blocks of k, more
   * columns than a block, rows 4,096 bytes apart, and copied rows of a transposed a.
   */
  private static final int[][] SHAPES = {
    {1, 1, 1},
    {1, 5, 7},
    {3, 64, 1},
    {9, 1, 33},
    {15, 33, 40},
    {64, 48, 64},
    {31, 100, 1300},
    {20, 700, 520},
    {33, 32, 1024},
    {70, 256, 129},
    {17, 1003, 24}
  };

  /** Relative to the sum of absolute terms; allows for a different order of summation. */
  private static final double TOLERANCE = 1e-5;

  private static final Workspace WORKSPACE = new Workspace(1);

  static Stream<Gemm> kinds() {
    return Stream.of(new TiledGemm(Tiles.ofThisMachine(), WORKSPACE), new Blas());
  }

  @AfterEach
  void close() {
    WORKSPACE.close();
  }

  @ParameterizedTest
  @MethodSource("kinds")
  void everyLayoutOfTheOperands(Gemm gemm) {
    for (int[] shape : SHAPES) {
      for (boolean transposeA : new boolean[] {false, true}) {
        for (boolean transposeB : new boolean[] {false, true}) {
          for (boolean add : new boolean[] {false, true}) {
            assertProduct(gemm, shape[0], shape[1], shape[2], transposeA, transposeB, add);
          }
        }
      }
    }
  }

  private static void assertProduct(
      Gemm gemm, int m, int n, int k, boolean transposeA, boolean transposeB, boolean add) {
    float[] a = numbers(1, m * k);
    float[] b = numbers(2, k * n);
    float[] before = numbers(3, m * n);
    try (CpuTensor ofA = transposeA ? tensor(a, k, m) : tensor(a, m, k);
        CpuTensor ofB = transposeB ? tensor(b, n, k) : tensor(b, k, n);
        CpuTensor ofC = tensor(before, m, n)) {
      gemm.multiply(
          0,
          m,
          n,
          k,
          transposeA ? ofA.matrix().transposed() : ofA.matrix(),
          transposeB ? ofB.matrix().transposed() : ofB.matrix(),
          add,
          ofC.matrix());
      float[] c = values(ofC);
      for (int i = 0; i < m; i++) {
        for (int j = 0; j < n; j++) {
          double sum = add ? before[i * n + j] : 0;
          double size = 1;
          for (int p = 0; p < k; p++) {
            double term =
                (double) (transposeA ? a[p * m + i] : a[i * k + p])
                    * (transposeB ? b[j * k + p] : b[p * n + j]);
            sum += term;
            size += Math.abs(term);
          }
          assertEquals(
              sum,
              c[i * n + j],
              TOLERANCE * size,
              "%s, %d × %d × %d, transposed %s %s, add %s, element %d %d"
                  .formatted(
                      gemm.getClass().getSimpleName(), m, n, k, transposeA, transposeB, add, i, j));
        }
      }
    }
  }

  /** The split of a product over threads must not change its bits. */
  @Test
  void aPartHasTheSameBitsAsInTheWhole() {
    int m = 50;
    int n = 90;
    int k = 600;
    Gemm gemm = new TiledGemm(Tiles.ofThisMachine(), WORKSPACE);
    try (CpuTensor a = tensor(numbers(4, m * k), m, k);
        CpuTensor w = tensor(numbers(5, n * k), n, k);
        CpuTensor whole = CpuTensor.allocate(m, n);
        CpuTensor parts = CpuTensor.allocate(m, n)) {
      Matrix b = w.matrix().transposed();
      gemm.multiply(0, m, n, k, a.matrix(), b, false, whole.matrix());
      for (int row = 0; row < m; row += 7) {
        for (int column = 0; column < n; column += 41) {
          gemm.multiply(
              0,
              Math.min(7, m - row),
              Math.min(41, n - column),
              k,
              a.matrix().from(row, 0),
              b.from(0, column),
              false,
              parts.matrix().from(row, column));
        }
      }
      assertArrayEquals(values(whole), values(parts));
    }
  }

  /**
   * Rounding errors at the k of a large vocabulary, 32,003: at most twice those of float32 sums
   * over blocks of 512. One sum over all of k is far beyond that bound.
   */
  @ParameterizedTest
  @MethodSource("kinds")
  void longSumsLoseNoMoreThanSumsOverBlocks(Gemm gemm) {
    int m = 15;
    int n = 40;
    int k = 32_003;
    float[] a = numbers(6, m * k);
    float[] b = numbers(7, k * n);
    double bound = 2 * error(a, b, m, n, k, null, 512);
    assertTrue(error(a, b, m, n, k, null, k) > bound, "the bound must exclude sums in one go");
    for (boolean transposeA : new boolean[] {false, true}) {
      for (boolean transposeB : new boolean[] {false, true}) {
        try (CpuTensor ofA = tensor(transposeA ? transposed(a, m, k) : a, m, k);
            CpuTensor ofB = tensor(transposeB ? transposed(b, k, n) : b, k, n);
            CpuTensor ofC = tensor(new float[m * n], m, n)) {
          Matrix left = transposeA ? rows(ofA, m).transposed() : rows(ofA, k);
          Matrix right = transposeB ? rows(ofB, k).transposed() : rows(ofB, n);
          gemm.multiply(0, m, n, k, left, right, true, ofC.matrix());
          double error = error(a, b, m, n, k, values(ofC), 0);
          assertTrue(
              error <= bound,
              "%s, transposed %s %s: root mean square error %g, above %g"
                  .formatted(
                      gemm.getClass().getSimpleName(), transposeA, transposeB, error, bound));
        }
      }
    }
  }

  /**
   * Root mean square error of a product against sums in float64.
   *
   * @param product null for float32 sums over blocks of k, added one after the other
   */
  private static double error(
      float[] a, float[] b, int m, int n, int k, float[] product, int block) {
    double squares = 0;
    for (int i = 0; i < m; i++) {
      for (int j = 0; j < n; j++) {
        double exact = 0;
        float sum = 0;
        float part = 0;
        for (int p = 0; p < k; p++) {
          exact += (double) a[i * k + p] * b[p * n + j];
          if (product == null) {
            part = Math.fma(a[i * k + p], b[p * n + j], part);
            if ((p + 1) % block == 0 || p + 1 == k) {
              sum += part;
              part = 0;
            }
          }
        }
        double error = (product == null ? sum : product[i * n + j]) - exact;
        squares += error * error;
      }
    }
    return Math.sqrt(squares / (m * n));
  }

  private static float[] transposed(float[] values, int rows, int columns) {
    float[] transposed = new float[values.length];
    for (int i = 0; i < rows; i++) {
      for (int j = 0; j < columns; j++) {
        transposed[j * rows + i] = values[i * columns + j];
      }
    }
    return transposed;
  }

  /** The tensor's memory as a matrix with rows of this length. */
  private static Matrix rows(CpuTensor tensor, int length) {
    return new Matrix(tensor.address(0), Matrix.ELEMENT * length, Matrix.ELEMENT);
  }

  private static float[] numbers(long seed, int count) {
    SplittableRandom random = new SplittableRandom(seed);
    float[] numbers = new float[count];
    for (int i = 0; i < count; i++) {
      numbers[i] = random.nextFloat(-1, 1);
    }
    return numbers;
  }

  private static CpuTensor tensor(float[] values, int rows, int columns) {
    CpuTensor tensor = CpuTensor.allocate(rows, columns);
    tensor.write(0, values, 0, values.length);
    return tensor;
  }

  private static float[] values(CpuTensor tensor) {
    float[] values = new float[(int) tensor.size()];
    tensor.read(0, values, 0, values.length);
    return values;
  }
}
