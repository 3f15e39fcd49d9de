package io.millrace.jobs.models;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class HeldOutTest {

  @Test
  void holdsOutItsShareAndTheSameOnesAgain() {
    HeldOut tenth = new HeldOut(0.1);
    HeldOut fifth = new HeldOut(0.2);
    long count = IntStream.range(0, 20_000).filter(i -> tenth.contains("prompt-" + i)).count();
    assertTrue(Math.abs(count - 2000) < 200, count + " of 20,000");
    IntStream.range(0, 20_000)
        .filter(i -> tenth.contains("prompt-" + i))
        .forEach(i -> assertTrue(fifth.contains("prompt-" + i), "a larger share holds out more"));
  }

  @Test
  void holdsOutNothingWithoutAShare() {
    HeldOut none = new HeldOut(0);
    assertFalse(IntStream.range(0, 10_000).anyMatch(i -> none.contains("prompt-" + i)));
  }
}
