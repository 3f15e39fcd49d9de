package io.millrace.jobs.rewardmodel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.InitialModel;
import io.millrace.jobs.testkit.OperatorHarness;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Objective;
import io.millrace.schemas.RefusedRecordException;
import io.millrace.schemas.Role;
import io.millrace.schemas.Turn;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Dialogues that are longer than the model of 64 positions. */
class JudgmentCheckTest {

  @TempDir private static Path directory;

  private static JudgmentCheck check(String... more) throws Exception {
    List<String> settings = new ArrayList<>(OperatorHarness.TINY_MODEL);
    settings.add("checkpoints.directory=" + directory);
    settings.addAll(List.of(more));
    MillraceConfig config = InitialModel.ensure(ConfigLoader.load(Optional.empty(), settings));
    JudgmentCheck check = new JudgmentCheck(config);
    check.open();
    return check;
  }

  private static Judgment judgment(Turn... dialogue) {
    Judgment judgment = TestJudgments.of("j", Objective.HELPFULNESS, "own");
    judgment.setDialogue(List.of(dialogue));
    return judgment;
  }

  private static Judgment longOne() {
    List<Turn> dialogue = new ArrayList<>(List.of(new Turn(Role.SYSTEM, "Be kind")));
    for (int i = 0; i < 10; i++) {
      dialogue.add(new Turn(Role.USER, "question " + i));
      dialogue.add(new Turn(Role.ASSISTANT, "answer " + i));
    }
    dialogue.add(new Turn(Role.USER, "last"));
    return judgment(dialogue.toArray(Turn[]::new));
  }

  @Test
  void theOldestTurnsAreDropped() throws Exception {
    JudgmentCheck check = check();
    Judgment judgment = longOne();
    assertThrows(RefusedRecordException.class, () -> check.check(judgment));
    Judgment shortened = check.shorten(judgment);
    check.check(shortened);
    List<Turn> dialogue = shortened.getDialogue();
    List<Turn> whole = judgment.getDialogue();
    assertEquals(whole.getFirst(), dialogue.getFirst(), "the system turn");
    assertEquals(
        whole.subList(whole.size() - dialogue.size() + 1, whole.size()),
        dialogue.subList(1, dialogue.size()),
        "the latest turns");
    assertEquals(0, dialogue.size() % 2, "whole pairs are dropped");
    assertEquals(22, whole.size(), "nothing is changed in place");
    // One more pair would be too long.
    List<Turn> more = new ArrayList<>(List.of(whole.getFirst()));
    more.addAll(whole.subList(whole.size() - dialogue.size() - 1, whole.size()));
    assertThrows(
        RefusedRecordException.class, () -> check.check(judgment(more.toArray(Turn[]::new))));
    check.close();
  }

  @Test
  void aShortDialogueStaysAsItIs() throws Exception {
    JudgmentCheck check = check();
    Judgment judgment = judgment(new Turn(Role.USER, "Hi"));
    assertSame(judgment, check.shorten(judgment));
    check.close();
  }

  @Test
  void aLastTurnThatIsTooLongIsRefused() throws Exception {
    JudgmentCheck check = check();
    Judgment judgment =
        judgment(
            new Turn(Role.USER, "Hi"),
            new Turn(Role.ASSISTANT, "Hello"),
            new Turn(Role.USER, "far ".repeat(100)));
    assertSame(judgment, check.shorten(judgment));
    RefusedRecordException e =
        assertThrows(RefusedRecordException.class, () -> check.check(judgment));
    assertTrue(e.reason().equals("too-long"), e.getMessage());
    check.close();
  }

  @Test
  void aJudgmentBetweenSameResponsesIsRefused() throws Exception {
    Judgment judgment = judgment(new Turn(Role.USER, "Hi"));
    judgment.getResponseB().setText(judgment.getResponseA().getText() + " ");
    JudgmentCheck check = check();
    RefusedRecordException e =
        assertThrows(RefusedRecordException.class, () -> check.check(judgment));
    assertEquals("same-responses", e.reason());
    check.close();
    JudgmentCheck lenient = check("reward-model.require-different=false");
    lenient.check(judgment);
    lenient.close();
  }

  @Test
  void truncationCanBeTurnedOff() throws Exception {
    JudgmentCheck check = check("reward-model.truncate=false");
    Judgment judgment = longOne();
    assertSame(judgment, check.shorten(judgment));
    check.close();
  }
}
