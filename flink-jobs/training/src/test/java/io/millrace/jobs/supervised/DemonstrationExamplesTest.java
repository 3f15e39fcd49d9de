package io.millrace.jobs.supervised;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.InitialModel;
import io.millrace.jobs.models.LengthCheck;
import io.millrace.jobs.testkit.OperatorHarness;
import io.millrace.schemas.Demonstration;
import io.millrace.schemas.RefusedRecordException;
import io.millrace.schemas.Role;
import io.millrace.schemas.Turn;
import io.millrace.schemas.Validation;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Dialogues that are longer than the model of 64 positions. */
class DemonstrationExamplesTest {

  private static final int PAIRS = 8;

  @TempDir private static Path directory;

  private static LengthCheck<Demonstration> check(String... more) throws Exception {
    List<String> settings = new ArrayList<>(OperatorHarness.TINY_MODEL);
    settings.add("checkpoints.directory=" + directory);
    settings.addAll(List.of(more));
    MillraceConfig config = InitialModel.ensure(ConfigLoader.load(Optional.empty(), settings));
    LengthCheck<Demonstration> check = DemonstrationExamples.lengthCheck(config);
    check.open();
    return check;
  }

  private static Demonstration demonstration(int firstLearnedTurn) {
    List<Turn> dialogue = new ArrayList<>();
    for (int i = 0; i < PAIRS; i++) {
      dialogue.add(new Turn(Role.USER, "question " + i));
      dialogue.add(new Turn(Role.ASSISTANT, "answer " + i));
    }
    return Demonstration.newBuilder()
        .setId("d")
        .setDialogue(dialogue)
        .setFirstLearnedTurn(firstLearnedTurn)
        .build();
  }

  @Test
  void theOldestTurnsAreDroppedAndTheLearnedOnesStayLearned() throws Exception {
    LengthCheck<Demonstration> check = check();
    for (int first : new int[] {0, 1, 3, 2 * PAIRS - 1}) {
      Demonstration whole = demonstration(first);
      assertThrows(RefusedRecordException.class, () -> check.check(whole));
      Demonstration shortened = check.shorten(whole);
      check.check(shortened);
      assertEquals(List.of(), Validation.problems(shortened));
      int dropped = whole.getDialogue().size() - shortened.getDialogue().size();
      assertTrue(dropped > 3 && dropped % 2 == 0, dropped + " turns dropped");
      assertEquals(
          whole.getDialogue().subList(dropped, whole.getDialogue().size()),
          shortened.getDialogue());
      assertEquals(Math.max(0, first - dropped), shortened.getFirstLearnedTurn());
    }
    check.close();
  }

  @Test
  void truncationCanBeTurnedOff() throws Exception {
    LengthCheck<Demonstration> check = check("supervised.truncate=false");
    Demonstration whole = demonstration(0);
    assertSame(whole, check.shorten(whole));
    check.close();
  }
}
