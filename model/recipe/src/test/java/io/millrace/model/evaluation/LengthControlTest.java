package io.millrace.model.evaluation;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.model.evaluation.Judge.Choice;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The fixture of other solutions is in LengthControlFixtureTest. */
class LengthControlTest {

  @Test
  void choicesAndLengthsAreThoseOfTheFirstPolicy() {
    LengthControl control =
        LengthControl.of(
            new int[] {5, 7, 2}, new int[] {3, 7, 9}, List.of(Choice.A, Choice.TIE, Choice.B));
    assertArrayEquals(new int[] {2, 0, -7}, control.differences());
    assertArrayEquals(new int[] {2, 1, 0}, control.halfWins());
    LengthControl twice = control.plus(control);
    assertEquals(6, twice.differences().length);
    assertEquals(0, LengthControl.NONE.plus(LengthControl.NONE).differences().length);
  }

  @Test
  void withoutDifferencesOfLengthItIsTheWinRate() {
    LengthControl same = new LengthControl(new int[] {4, 4, 4, 4}, new int[] {2, 2, 1, 0});
    assertEquals(0.625, same.winRate().orElseThrow());
    LengthControl won = new LengthControl(new int[] {1, 2, 3}, new int[] {2, 2, 2});
    assertEquals(1, won.winRate().orElseThrow());
    LengthControl lost = new LengthControl(new int[] {1, 2, 3}, new int[] {0, 0, 0});
    assertEquals(0, lost.winRate().orElseThrow());
    assertTrue(LengthControl.NONE.winRate().isEmpty());
  }

  @Test
  void refusesChoicesOfOtherPrompts() {
    assertThrows(IllegalArgumentException.class, () -> new LengthControl(new int[2], new int[3]));
    assertThrows(
        IllegalArgumentException.class, () -> LengthControl.of(new int[1], new int[1], List.of()));
  }
}
