package io.millrace.model.reward;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class ShuffleBufferTest {

  private static final long SEED = 5;

  private static List<Integer> numbers(int count) {
    return IntStream.range(0, count).boxed().toList();
  }

  /** Feeds records as a job does: what is due leaves at once, the rest at the end. */
  private static List<Integer> shuffled(ShuffleBuffer<Integer> buffer, List<Integer> items) {
    List<Integer> order = new ArrayList<>();
    for (int item : items) {
      buffer.add(item);
      while (buffer.isDue()) {
        order.add(buffer.take());
      }
    }
    while (buffer.waiting() > 0) {
      order.add(buffer.take());
    }
    return order;
  }

  @Test
  void withoutRoomRecordsLeaveInTheOrderInWhichTheyCome() {
    assertEquals(numbers(50), shuffled(new ShuffleBuffer<>(0, SEED), numbers(50)));
  }

  @Test
  void everyRecordLeavesOnce() {
    for (int capacity : new int[] {1, 7, 49, 50, 51, 500}) {
      List<Integer> order = shuffled(new ShuffleBuffer<>(capacity, SEED), numbers(50));
      assertNotEquals(numbers(50), order);
      assertEquals(numbers(50), order.stream().sorted().toList());
    }
  }

  @Test
  void holdsAsManyAsItMayAndNoMore() {
    ShuffleBuffer<Integer> buffer = new ShuffleBuffer<>(3, SEED);
    for (int i = 0; i < 3; i++) {
      buffer.add(i);
      assertFalse(buffer.isDue());
    }
    buffer.add(3);
    assertTrue(buffer.isDue());
    int _ = buffer.take();
    assertFalse(buffer.isDue());
    assertEquals(3, buffer.waiting());
  }

  /** Each of 6 records in each of 6 places, over 6,000 seeds: 1,000 times each, give or take. */
  @Test
  void aShuffleOfEverythingIsUniform() {
    int[][] places = new int[6][6];
    for (int seed = 0; seed < 6_000; seed++) {
      List<Integer> order = shuffled(new ShuffleBuffer<>(6, seed * 31L), numbers(6));
      for (int place = 0; place < 6; place++) {
        places[order.get(place)][place]++;
      }
    }
    for (int[] record : places) {
      for (int count : record) {
        // Five standard deviations of a binomial with p = 1/6.
        assertEquals(1_000, count, 145);
      }
    }
  }

  @Test
  void continuesFromItsState() {
    ShuffleBuffer<Integer> straight = new ShuffleBuffer<>(8, SEED);
    ShuffleBuffer<Integer> before = new ShuffleBuffer<>(8, SEED);
    for (int item : numbers(30)) {
      straight.add(item);
      before.add(item);
      if (straight.isDue()) {
        assertEquals(straight.take(), before.take());
      }
    }
    // It has all records of the state, even if it keeps back fewer from now on.
    ShuffleBuffer<Integer> after = new ShuffleBuffer<>(0, SEED);
    after.add(-1);
    after.restore(before.draws(), before.records());
    assertEquals(straight.waiting(), after.waiting());
    while (straight.waiting() > 0) {
      assertTrue(after.isDue());
      assertEquals(straight.take(), after.take());
    }
    assertFalse(after.isDue());
  }

  @Test
  void removedRecordsDoNotLeaveAndTheOthersDo() {
    ShuffleBuffer<Integer> buffer = new ShuffleBuffer<>(10, SEED);
    numbers(11).forEach(buffer::add);
    assertEquals(6, buffer.removeIf(number -> number % 2 == 0));
    assertFalse(buffer.isDue());
    assertEquals(List.of(1, 3, 5, 7, 9), buffer.records());
    assertEquals(0, buffer.removeIf(number -> number > 100));
    assertEquals(List.of(1, 3, 5, 7, 9), shuffled(buffer, List.of()).stream().sorted().toList());
  }

  @Test
  void saysWhatItCannotDo() {
    assertThrows(NoSuchElementException.class, () -> new ShuffleBuffer<>(2, SEED).take());
    assertThrows(IllegalArgumentException.class, () -> new ShuffleBuffer<>(-1, SEED));
  }
}
