package io.millrace.jobs.models;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.schemas.Role;
import io.millrace.schemas.Turn;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class HeldOutTest {

  private static List<Turn> asked(int i) {
    return List.of(new Turn(Role.USER, "question " + i));
  }

  @Test
  void holdsOutItsShareAndTheSameOnesAgain() {
    HeldOut tenth = new HeldOut(0.1);
    HeldOut fifth = new HeldOut(0.2);
    long count = IntStream.range(0, 20_000).filter(i -> tenth.contains(asked(i))).count();
    assertTrue(Math.abs(count - 2000) < 200, count + " of 20,000");
    IntStream.range(0, 20_000)
        .filter(i -> tenth.contains(asked(i)))
        .forEach(i -> assertTrue(fifth.contains(asked(i)), "a larger share holds out more"));
  }

  @Test
  void aDialogueThatGoesOnOrHasASystemTurnStaysOnItsSide() {
    HeldOut half = new HeldOut(0.5);
    for (int i = 0; i < 50; i++) {
      Turn question = new Turn(Role.USER, "question " + i);
      Turn answer = new Turn(Role.ASSISTANT, "answer");
      Turn system = new Turn(Role.SYSTEM, "be brief");
      boolean heldOut = half.contains(List.of(question));
      assertEquals(heldOut, half.contains(List.of(question, answer)));
      assertEquals(heldOut, half.contains(List.of(system, question, answer, answer, question)));
      assertEquals(heldOut, half.contains(List.of(new Turn(Role.USER, " question " + i + "\n"))));
    }
  }

  @Test
  void aPlainTextIsHeldOutByItsText() {
    HeldOut half = new HeldOut(0.5);
    long count =
        IntStream.range(0, 200)
            .filter(i -> half.contains(List.of(new Turn(Role.ASSISTANT, "text " + i))))
            .count();
    assertTrue(count > 60 && count < 140, count + " of 200");
  }

  @Test
  void holdsOutNothingWithoutAShare() {
    HeldOut none = new HeldOut(0);
    assertFalse(IntStream.range(0, 10_000).anyMatch(i -> none.contains(asked(i))));
    assertFalse(none.contains(List.of()));
  }
}
