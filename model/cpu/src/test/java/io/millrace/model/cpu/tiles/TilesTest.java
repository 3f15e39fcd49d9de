package io.millrace.model.cpu.tiles;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** All tiles that this machine supports, on integers, whose sums are exact. */
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

  /** Both layouts of a, with three tiles in a call. Nothing beside the tiles may be written. */
  @ParameterizedTest
  @MethodSource("kinds")
  void everyHeightAndWidth(Tiles tiles) {
    for (int rows = 1; rows <= tiles.rows(); rows++) {
      for (int vectors = 1; vectors <= Tiles.VECTORS; vectors++) {
        for (Tiles.Sums sums : Tiles.Sums.values()) {
          for (boolean byRows : new boolean[] {false, true}) {
            for (int k : new int[] {1, 2, 9}) {
              assertTiles(tiles, rows, vectors, sums, byRows, k);
            }
          }
        }
      }
    }
  }

  private static void assertTiles(
      Tiles tiles, int rows, int vectors, Tiles.Sums sums, boolean byRows, int k) {
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
          float sum = sums == Tiles.Sums.NEW ? 0 : UNTOUCHED;
          for (int p = 0; p < k; p++) {
            sum += a[tile * aStep + i * aRow + p * aColumn] * b[tile * bStep + p * bRow + j];
          }
          expected[tile * cStep + i * cRow + j] = sum;
        }
      }
    }
    try (Floats ofA = Floats.of(a);
        Floats ofB = Floats.of(b);
        Floats ofC = Floats.of(c)) {
      tiles.multiply(
          rows,
          vectors,
          sums,
          new Matrix(ofA.address(), ELEMENT * aRow, ELEMENT * aColumn),
          new Matrix(ofB.address(), ELEMENT * bRow, ELEMENT),
          new Matrix(ofC.address(), ELEMENT * cRow, ELEMENT),
          k,
          count,
          ELEMENT * aStep,
          ELEMENT * bStep,
          ELEMENT * cStep);
      assertSame(
          "%s: %d rows, %d vectors, sums %s, by rows %s, k %d"
              .formatted(tiles, rows, vectors, sums, byRows, k),
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
      try (Floats ofA = Floats.of(a);
          Floats ofB = Floats.of(b);
          Floats c = Floats.of(new float[expected.length])) {
        long row = ELEMENT * width;
        tiles.multiplyRows(
            m,
            Tiles.VECTORS,
            Tiles.Sums.NEW,
            new Matrix(ofA.address(), ELEMENT * k, ELEMENT),
            new Matrix(ofB.address(), row, ELEMENT),
            new Matrix(c.address(), row, ELEMENT),
            k);
        assertSame(tiles + ": " + m + " rows", expected, c);
      }
    }
  }

  @ParameterizedTest
  @MethodSource("kinds")
  void transposesWholeSquaresAndRemainders(Tiles tiles) {
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
        try (Floats source = Floats.of(from);
            Floats target = Floats.of(before)) {
          tiles.transposeMatrix(
              rows,
              columns,
              new Matrix(source.address(), ELEMENT * fromRow, ELEMENT),
              new Matrix(target.address(), ELEMENT * toRow, ELEMENT));
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

  /** Floats in native memory, aligned for vectors. */
  private record Floats(Arena arena, MemorySegment memory) implements AutoCloseable {

    static Floats of(float[] values) {
      Arena arena = Arena.ofConfined();
      MemorySegment memory = arena.allocate(ELEMENT * values.length, 64);
      MemorySegment.copy(values, 0, memory, ValueLayout.JAVA_FLOAT, 0, values.length);
      return new Floats(arena, memory);
    }

    long address() {
      return memory.address();
    }

    @Override
    public void close() {
      arena.close();
    }
  }

  private static void assertSame(String what, float[] expected, Floats actual) {
    float[] values = actual.memory().toArray(ValueLayout.JAVA_FLOAT);
    for (int i = 0; i < expected.length; i++) {
      assertEquals(expected[i], values[i], what + ", element " + i);
    }
  }
}
