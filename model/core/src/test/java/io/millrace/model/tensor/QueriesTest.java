package io.millrace.model.tensor;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class QueriesTest {

  private static final Sequences SEQUENCES = Sequences.ofLengths(3, 1, 2, 1);

  @Test
  void everyTokenAttends() {
    Queries queries = Queries.all(SEQUENCES);
    assertTrue(queries.areAll());
    assertEquals(7, queries.count());
    assertArrayEquals(new int[] {0, 1, 2, 0, 0, 1, 0}, queries.positions());
    assertArrayEquals(
        queries.offsets(), Queries.of(SEQUENCES, new int[] {0, 1, 2, 3, 4, 5, 6}).offsets());
  }

  @Test
  void someTokensAttend() {
    Queries queries = Queries.of(SEQUENCES, new int[] {1, 2, 5});
    assertFalse(queries.areAll());
    assertArrayEquals(new int[] {1, 2, 1}, queries.positions());
    assertArrayEquals(new int[] {0, 2, 2, 3, 3}, queries.offsets());
    assertEquals(2, queries.start(2));
    assertEquals(1, queries.count(2));
    assertEquals(0, queries.count(3));
  }

  @Test
  void leavesOutRowsThatNoQueryAttendsTo() {
    Queries queries = Queries.of(Sequences.ofLengths(4, 2, 3, 2), new int[] {1, 2, 6, 9, 10});
    assertArrayEquals(new int[] {0, 1, 2, 6, 9, 10}, queries.seen());
    Queries left = queries.ofSeen();
    assertArrayEquals(new int[] {0, 3, 4, 6}, left.sequences().offsets());
    assertArrayEquals(new int[] {1, 2, 3, 4, 5}, left.rows());
    assertArrayEquals(queries.positions(), left.positions());
    assertArrayEquals(left.rows(), left.ofSeen().rows());
  }

  @Test
  void refusesRowsOutOfOrderOrOutOfRange() {
    for (int[] rows : new int[][] {{2, 2}, {3, 2}, {-1, 2}, {2, 7}}) {
      String message =
          assertThrows(IllegalArgumentException.class, () -> Queries.of(SEQUENCES, rows))
              .getMessage();
      assertTrue(message.contains("ascend within 7 tokens"), message);
    }
  }
}
