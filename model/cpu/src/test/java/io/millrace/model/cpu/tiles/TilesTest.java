package io.millrace.model.cpu.tiles;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.millrace.model.cpu.CpuTensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** All kinds of tiles that this machine runs, on whole numbers, whose sums are exact. */
class TilesTest {

  private static final long ELEMENT = Float.BYTES;
  private static final float UNTOUCHED = 77;

  static Stream<Tiles> kinds() {
    List<Tiles> kinds = new ArrayList<>(List.of(new VectorTiles()));
    if (MachineTiles.ifSupported().isPresent()) {
      kinds.add(new MachineTiles(false));
      if (Lanes.WIDTH == 16) {
        kinds.add(new MachineTiles(true));
      }
    }
    return kinds.stream();
  }

  /** Both ways that a may lie, three tiles in a call, and nothing beside them written. */
  @ParameterizedTest
  @MethodSource("kinds")
  void everyHeightAndWidth(Tiles tiles) {
    for (int rows = 1; rows <= tiles.rows(); rows++) {
      for (int vectors = 1; vectors <= Tiles.VECTORS; vectors++) {
        for (boolean add : new boolean[] {false, true}) {
          for (boolean byRows : new boolean[] {false, true}) {
            for (int k : new int[] {1, 2, 9}) {
              assertTiles(tiles, rows, vectors, add, byRows, k);
            }
          }
        }
      }
    }
  }

  private static void assertTiles(
      Tiles tiles, int rows, int vectors, boolean add, boolean byRows, int k) {
    int count = 3;
    int width = vectors * tiles.lanes();
    int aRow = byRows ? k + 3 : 1;
    int aColumn = byRows ? 1 : rows + 2;
    int aStep = rows * k + 100;
    int bRow = width + 5;
    int bStep = k * bRow + 2;
    int cRow = width + 7;
    int cStep = rows * cRow + 11;
    float[] a = numbers(1, count * aStep + 200);
    float[] b = numbers(2, count * bStep);
    float[] c = new float[count * cStep];
    Arrays.fill(c, UNTOUCHED);
    float[] expected = c.clone();
    for (int tile = 0; tile < count; tile++) {
      for (int i = 0; i < rows; i++) {
        for (int j = 0; j < width; j++) {
          float sum = add ? UNTOUCHED : 0;
          for (int p = 0; p < k; p++) {
            sum += a[tile * aStep + i * aRow + p * aColumn] * b[tile * bStep + p * bRow + j];
          }
          expected[tile * cStep + i * cRow + j] = sum;
        }
      }
    }
    try (CpuTensor ofA = tensor(a);
        CpuTensor ofB = tensor(b);
        CpuTensor ofC = tensor(c)) {
      tiles.multiply(
          rows,
          vectors,
          add,
          new Matrix(ofA.address(0), ELEMENT * aRow, ELEMENT * aColumn),
          new Matrix(ofB.address(0), ELEMENT * bRow, ELEMENT),
          new Matrix(ofC.address(0), ELEMENT * cRow, ELEMENT),
          k,
          count,
          ELEMENT * aStep,
          ELEMENT * bStep,
          ELEMENT * cStep);
      assertSame(
          "%s: %d rows, %d vectors, add %s, by rows %s, k %d"
              .formatted(tiles, rows, vectors, add, byRows, k),
          expected,
          ofC);
    }
  }

  @ParameterizedTest
  @MethodSource("kinds")
  void anyNumberOfRows(Tiles tiles) {
    int width = tiles.columns();
    int k = 5;
    for (int m : new int[] {1, tiles.rows(), tiles.rows() + 1, 3 * tiles.rows() + 2}) {
      float[] a = numbers(3, m * k);
      float[] b = numbers(4, k * width);
      float[] expected = new float[m * width + 9];
      for (int i = 0; i < m; i++) {
        for (int j = 0; j < width; j++) {
          for (int p = 0; p < k; p++) {
            expected[i * width + j] += a[i * k + p] * b[p * width + j];
          }
        }
      }
      try (CpuTensor ofA = tensor(a);
          CpuTensor ofB = tensor(b);
          CpuTensor c = tensor(new float[expected.length])) {
        long row = ELEMENT * width;
        tiles.multiplyRows(
            m,
            Tiles.VECTORS,
            false,
            new Matrix(ofA.address(0), ELEMENT * k, ELEMENT),
            new Matrix(ofB.address(0), row, ELEMENT),
            new Matrix(c.address(0), row, ELEMENT),
            k);
        assertSame(tiles + ": " + m + " rows", expected, c);
      }
    }
  }

  @ParameterizedTest
  @MethodSource("kinds")
  void transposesWholeSquaresAndWhatIsLeft(Tiles tiles) {
    for (int rows : new int[] {1, 7, 8, 29}) {
      for (int columns : new int[] {1, 5, 8, 16, 43}) {
        int fromRow = columns + 3;
        int toRow = rows + 2;
        float[] from = numbers(5, rows * fromRow);
        float[] expected = new float[columns * toRow];
        Arrays.fill(expected, UNTOUCHED);
        float[] before = expected.clone();
        for (int i = 0; i < rows; i++) {
          for (int j = 0; j < columns; j++) {
            expected[j * toRow + i] = from[i * fromRow + j];
          }
        }
        try (CpuTensor source = tensor(from);
            CpuTensor target = tensor(before)) {
          tiles.transposeMatrix(
              rows,
              columns,
              new Matrix(source.address(0), ELEMENT * fromRow, ELEMENT),
              new Matrix(target.address(0), ELEMENT * toRow, ELEMENT));
          assertSame(tiles + ": " + rows + " × " + columns, expected, target);
        }
      }
    }
  }

  private static float[] numbers(long seed, int count) {
    SplittableRandom random = new SplittableRandom(seed);
    float[] numbers = new float[count];
    for (int i = 0; i < count; i++) {
      numbers[i] = random.nextInt(-8, 9);
    }
    return numbers;
  }

  private static CpuTensor tensor(float[] values) {
    CpuTensor tensor = CpuTensor.allocate(values.length);
    tensor.write(0, values, 0, values.length);
    return tensor;
  }

  private static void assertSame(String what, float[] expected, CpuTensor actual) {
    float[] values = new float[expected.length];
    actual.read(0, values, 0, values.length);
    for (int i = 0; i < values.length; i++) {
      assertEquals(expected[i], values[i], what + ", element " + i);
    }
  }
}
