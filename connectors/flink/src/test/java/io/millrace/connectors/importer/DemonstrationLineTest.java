package io.millrace.connectors.importer;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.schemas.Demonstration;
import io.millrace.schemas.Role;
import io.millrace.schemas.Turn;
import io.millrace.schemas.UnusableRecordException;
import java.util.List;
import org.junit.jupiter.api.Test;

class DemonstrationLineTest {
  private static final String ORIGIN = "data.jsonl:7";

  private static List<Turn> exchange(String user, String assistant) {
    return List.of(new Turn(Role.USER, user), new Turn(Role.ASSISTANT, assistant));
  }

  private static List<Turn> dialogue(String line) {
    return DemonstrationLine.read(line, ORIGIN).getDialogue();
  }

  @Test
  void readsEveryFormat() {
    assertEquals(
        List.of(
            new Turn(Role.SYSTEM, "Be brief."),
            new Turn(Role.USER, "Hi"),
            new Turn(Role.ASSISTANT, "Hello.")),
        dialogue(
            """
            {"messages": [{"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]}
            """));
    assertEquals(exchange("a", "b"), dialogue("{\"prompt\": \"a\", \"completion\": \"b\"}"));
    assertEquals(
        exchange("a", "b"),
        dialogue("{\"instruction\": \"a\", \"input\": \"\", \"output\": \"b\"}"));
    assertEquals(
        exchange("a\n\nc", "b"),
        dialogue("{\"instruction\": \"a\", \"input\": \"c\", \"output\": \"b\"}"));
    assertEquals(List.of(new Turn(Role.ASSISTANT, "a")), dialogue("{\"text\": \"a\"}"));
    assertEquals(
        exchange("a", "b"),
        dialogue(
            """
            {"id": "d1", "dialogue": [{"role": "USER", "content": "a"},
            {"role": "ASSISTANT", "content": "b"}]}
            """));
  }

  @Test
  void fieldsThatChangeWhatIsLearnedAreUsedOrRefused() {
    assertEquals(
        List.of(
            new Turn(Role.SYSTEM, "Be rude."),
            new Turn(Role.USER, "q"),
            new Turn(Role.ASSISTANT, "a"),
            new Turn(Role.USER, "Say hi"),
            new Turn(Role.ASSISTANT, "hi")),
        dialogue(
            """
            {"instruction": "Say hi", "output": "hi", "system": "Be rude.",
            "history": [["q", "a"]], "tools": "[]", "weight": 1}
            """));
    assertEquals(
        exchange("a", "b"),
        dialogue(
            """
            {"prompt": "a", "completion": "b", "system": "", "history": [], "tools": null}
            """));
    assertEquals(
        List.of(
            new Turn(Role.SYSTEM, "s"), new Turn(Role.USER, "a"), new Turn(Role.ASSISTANT, "b")),
        dialogue(
            """
            {"system": "s", "messages": [{"role": "user", "content": "a"},
            {"role": "assistant", "content": "b"}]}
            """));
    assertRefused(
        "invalid", "weight is 0; ", "{\"prompt\":\"a\",\"completion\":\"b\",\"weight\":0}");
    assertRefused(
        "invalid",
        "tools is [{\"name\":\"f\"}]; ",
        "{\"prompt\":\"a\",\"completion\":\"b\",\"tools\":[{\"name\":\"f\"}]}");
    assertRefused(
        "invalid",
        "history[0] is no pair of texts",
        "{\"prompt\":\"a\",\"completion\":\"b\",\"history\":\"x\"}");
    assertRefused("invalid", "history belongs to", "{\"text\":\"a\",\"history\":[[\"a\",\"b\"]]}");
    UnusableRecordException weight =
        assertThrows(
            UnusableRecordException.class,
            () ->
                dialogue(
                    """
                    {"messages": [{"role": "user", "content": "q"},
                    {"role": "assistant", "content": "a", "weight": 0}]}
                    """));
    assertTrue(
        weight.getMessage().startsWith("data.jsonl:7, messages[1]: weight is 0; "),
        weight.getMessage());
    assertRefused(
        "undecodable", "not JSON: Duplicate field 'text'", "{\"text\":\"a\",\"text\":\"b\"}");
    assertRefused("undecodable", "\"text\" has a lone surrogate", "{\"text\":\"\\ud83d\"}");
  }

  @Test
  void aLineWithoutAnIdTakesItsOrigin() {
    Demonstration unnamed = DemonstrationLine.read("{\"text\": \"a\"}", ORIGIN);
    assertEquals(ORIGIN, unnamed.getId());
    Demonstration named =
        DemonstrationLine.read("{\"id\": \"d1\", \"source\": \"s\", \"text\": \"a\"}", ORIGIN);
    assertEquals("d1", named.getId());
    assertEquals("s", named.getSource());
  }

  @Test
  void errorsNameTheLineTheFieldAndTheRemedy() {
    assertRefused("undecodable", "not JSON", "{broken");
    assertRefused("invalid", "no known format; write an object with messages", "{\"a\": 1}");
    assertRefused("invalid", "completion is missing; it must be a string", "{\"prompt\": \"a\"}");
    assertRefused(
        "invalid", "output is a number; it must be", "{\"instruction\": \"a\", \"output\": 5}");
    assertRefused("invalid", "messages is an object; it must be a list", "{\"messages\": {}}");
    assertRefused("invalid", "Demonstration: the text is empty", "{\"text\": \" \"}");
    UnusableRecordException role =
        assertThrows(
            UnusableRecordException.class,
            () ->
                DemonstrationLine.read(
                    "{\"messages\": [{\"role\": \"bot\", \"content\": \"a\"}]}", ORIGIN));
    assertEquals(
        "data.jsonl:7, messages[0]: role is \"bot\"; it must be system, user or assistant",
        role.getMessage());
  }

  private static void assertRefused(String reason, String start, String line) {
    UnusableRecordException e =
        assertThrows(UnusableRecordException.class, () -> DemonstrationLine.read(line, ORIGIN));
    assertEquals(reason, e.reason());
    assertTrue(e.getMessage().startsWith(ORIGIN + ": " + start), e.getMessage());
  }
}
