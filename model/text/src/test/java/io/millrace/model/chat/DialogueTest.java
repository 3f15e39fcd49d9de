package io.millrace.model.chat;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;

/** The shape of dialogues: which prompts and demonstrations are refused, and with which message. */
class DialogueTest {
  private static final Message SYSTEM = Message.system("s");
  private static final Message USER = Message.user("u");
  private static final Message ASSISTANT = Message.assistant("a");

  @Test
  void acceptsAlternatingTurns() {
    assertDoesNotThrow(() -> Dialogue.requirePrompt(List.of(USER)));
    assertDoesNotThrow(() -> Dialogue.requirePrompt(List.of(SYSTEM, USER, ASSISTANT, USER)));
    assertDoesNotThrow(() -> Dialogue.requireDemonstration(List.of(SYSTEM, USER, ASSISTANT)));
  }

  @Test
  void namesTheTurnThatBreaksTheAlternation() {
    refuses(Dialogue::requirePrompt, "turn 1", "USER", USER, USER);
    refuses(Dialogue::requirePrompt, "turn 0", "ASSISTANT", ASSISTANT, USER);
    refuses(Dialogue::requirePrompt, "turn 1", "SYSTEM", USER, SYSTEM, USER);
    refuses(Dialogue::requirePrompt, "turn 1", "SYSTEM", SYSTEM, SYSTEM, USER);
    refuses(
        Dialogue::requireDemonstration, "turn 3", "ASSISTANT", SYSTEM, USER, ASSISTANT, ASSISTANT);
  }

  @Test
  void namesTheRoleOfAWrongLastTurn() {
    refuses(Dialogue::requirePrompt, "turn 1", "ASSISTANT", USER, ASSISTANT);
    refuses(Dialogue::requirePrompt, "turn 0", "SYSTEM", SYSTEM);
    refuses(Dialogue::requireDemonstration, "turn 0", "USER", USER);
  }

  @Test
  void refusesADialogueWithoutTurns() {
    var e = assertThrows(IllegalArgumentException.class, () -> Dialogue.requirePrompt(List.of()));
    assertEquals("the dialogue has no turns; give it at least a user turn", e.getMessage());
  }

  private static void refuses(
      Consumer<List<Message>> check, String turn, String role, Message... dialogue) {
    var e = assertThrows(IllegalArgumentException.class, () -> check.accept(List.of(dialogue)));
    assertTrue(e.getMessage().startsWith(turn), e.getMessage());
    assertTrue(e.getMessage().contains("is by " + role), e.getMessage());
  }
}
